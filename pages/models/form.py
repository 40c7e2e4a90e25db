"""Adding without code: an architecture, uploaded weights and images; what they are tried with."""

from typing import Any

import streamlit as st

from aiq_core import tasks
from aiq_core.errors import SettingError
from aiq_core.tasks import add as adding
from aiq_core.tasks import trial
from pages.common import errors, known
from pages.models.architectures import ARCHITECTURES, DEFAULT_ARCHITECTURE

PLACE = "-adding"
"""Of what became of actions here: far below the head of the page."""

UPLOADED, SHIPPED, RANDOM = "an uploaded file", "torchvision’s own", "random"
WEIGHTS = (UPLOADED, SHIPPED, RANDOM)
WEIGHT_TYPES = ("safetensors", "pt", "pth", "th", "ckpt", "bin")
IMAGE_TYPES = ("zip", "npz")
SHIPPED_OUTPUTS = 1_000
MOST_OUTPUTS = 65_535
NUMBERS = {"resize": "256", "crop": "224", "mean": "0.485, 0.456, 0.406", "std": "0.229, 0.224, 0.225"}
"""ImageNet's, as torchvision's recipes have them."""

INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "lanczos")
USUAL = NUMBERS | {"interpolation": INTERPOLATIONS[0]}
"""What the form has at first; torchvision's own weights then go by what they were trained with."""

LAYOUTS = {"": "as it can only be", "NHWC": "NHWC", "NCHW": "NCHW"}
LIMITS = (
    "Up to {:,} MB a file, held in memory while it is uploaded. Weights: safetensors, or what torch.save wrote "
    "of tensors, bare or in a dict; a pickled network is refused and never run. Images: a zip of class folders, or an "
    "npz of images and labels, that training did not see; half of them choose, half judge. Larger sets, networks of "
    "your own code and exported programs are added by the command."
)


def draw() -> None:
    """The form; it starts a dry run, after which nothing is kept until it is asked for."""
    st.caption(LIMITS.format(st.get_option("server.maxUploadSize")))
    with st.form("add", border=False):
        with st.container(horizontal=True, gap="small"):
            st.text_input(
                "Name", key="add-name", max_chars=60, placeholder="my_resnet", help="By which commands call it."
            )
            st.text_input("Title", key="add-title", max_chars=60, placeholder="My ResNet", help="What readers see.")
        with st.container(horizontal=True, gap="small"):
            at = ARCHITECTURES.index(DEFAULT_ARCHITECTURE)
            st.selectbox("Architecture, torchvision’s", ARCHITECTURES, at, key="add-architecture")
            st.number_input(
                "Outputs", 2, MOST_OUTPUTS, value=None, key="add-outputs", placeholder="classes of the weights"
            )
        st.selectbox("Weights", WEIGHTS, key="add-weights", help=f"torchvision’s own have {SHIPPED_OUTPUTS:,} outputs.")
        st.file_uploader("Weights file", WEIGHT_TYPES, key="add-file")
        st.file_uploader("Images: a zip of class folders, or .npz", IMAGE_TYPES, key="add-data")
        with st.expander("Preprocessing, and what is rarely needed"):
            _more()
        st.form_submit_button("Try it", type="primary", icon=":material/play_arrow:", on_click=_start)


def _more() -> None:
    st.caption("With torchvision’s own weights, what is left as it is here goes by how they were trained.")
    with st.container(horizontal=True, gap="small"):
        st.text_input(
            "Resize", NUMBERS["resize"], key="add-resize", help="The shorter side, or height, width; or empty."
        )
        st.text_input(
            "Crop", NUMBERS["crop"], key="add-crop", help="A square in the middle, or height, width; or empty."
        )
        st.selectbox("Interpolation", INTERPOLATIONS, key="add-interpolation")
    with st.container(horizontal=True, gap="small"):
        st.text_input("Mean", NUMBERS["mean"], key="add-mean", help="A number a channel, of pixels / 255.")
        st.text_input("Deviation", NUMBERS["std"], key="add-std", help="A number a channel.")
    st.file_uploader("Images that judge, a set of their own", IMAGE_TYPES, key="add-report")
    st.text_area("Classes, a name a line, in the order of the outputs", key="add-classes")
    with st.container(horizontal=True, gap="small"):
        st.text_input("Which state dict, where a file has several", key="add-key")
        st.selectbox("Layout of arrays", list(LAYOUTS), format_func=LAYOUTS.get, key="add-layout")


def _start() -> None:
    with errors.kept(PLACE):
        tasks.submit(known.library(), trial.KIND, _asked(st.session_state))


def _asked(said: Any) -> dict[str, Any]:
    """The settings of a trial, its files kept. Raises SettingError for what is missing or cannot be read."""
    if not said["add-name"]:
        raise SettingError("the network has no name; give it one of 1 to 60 letters, digits, '_', '-' or '.'")
    weights, outputs = said["add-weights"], said["add-outputs"]
    needed = {"data": said["add-data"]} | ({"weights": said["add-file"]} if weights == UPLOADED else {})
    if missing := [what for what, file in needed.items() if file is None]:
        raise SettingError(f"no file of {' and '.join(missing)} was uploaded; choose one, and try it again")
    if outputs is None and weights != SHIPPED:
        raise SettingError("the network has no outputs; give their number, that of the classes its weights tell apart")
    # Looked at before anything is written.
    adding.ready(known.library(), said["add-name"], said["add-title"])
    flags: dict[str, Any] = {name: found for name in NUMBERS if (found := _numbers(name, said[f"add-{name}"]))}
    flags["interpolation"] = said["add-interpolation"]
    if weights == SHIPPED:
        flags = {name: value for name, value in flags.items() if said[f"add-{name}"] != USUAL[name]}
    files = {what: (file.name, file) for what, file in (needed | {"report": said["add-report"]}).items() if file}
    if said["add-classes"].strip():
        files["classes"] = "classes.txt", said["add-classes"].encode()
    upload, paths = trial.upload(files)
    architecture = f"torchvision:{said['add-architecture']}"
    found = {
        "name": said["add-name"],
        "title": said["add-title"],
        "network": architecture if weights == SHIPPED else f"{architecture}:{outputs}",
        "weights": str(paths["weights"]) if weights == UPLOADED else {SHIPPED: "default", RANDOM: "random"}[weights],
        "data": str(paths["data"]),
        "report_data": str(paths["report"]) if "report" in paths else None,
        "classes": str(paths["classes"]) if "classes" in paths else None,
        "key": said["add-key"],
        "layout": said["add-layout"],
        "flags": flags,
        trial.UPLOADS: upload,
    }
    return {name: value for name, value in found.items() if value}


def _numbers(name: str, text: str) -> list[float] | list[int]:
    kind = int if name in ("resize", "crop") else float
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise SettingError(f"{name}={text!r} is no list of numbers; write them like {NUMBERS[name]}") from None
