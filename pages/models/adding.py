"""How a network is added: by a command, or by a form whose dry run is shown before anything is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from aiq_core import jobs, tasks
from aiq_core.deployment.engine import Engine, installed
from aiq_core.library import read_only
from aiq_core.records import RunStatus, Task
from aiq_core.statistics import Interval
from aiq_core.tasks import trial
from aiq_core.wording import duration, number, prefixed_rate, size, span
from pages.common import controls, errors, known
from pages.models import form

POLL_S = 1.0
SEEN = "models-seen"
COMMAND = r"""python -m aiq_core add my_net --network path/to/net.py:build \
    --weights checkpoint.pt --data path/to/images \
    --resize 256 --crop 224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"""
OTHERS = (
    "`--network` also takes `torchvision:resnet50`, `timm:NAME` and an exported program (`.pt2`); `--data` a folder of "
    "class folders, a `.npz`, two `.npy`, a `.csv` of paths and labels, or a data set of torchvision’s by name. A dry "
    "run comes first and asks before anything is kept. With `--only-profile` a network is counted without weights or "
    "images, transformers’ `config.json` too. docs/own_model.md has whole examples."
)


def draw() -> None:
    """By the command, and without code."""
    st.markdown("##### Add your own")
    with st.container(border=True, gap="small"):
        st.markdown("**By the command** :gray[any network, any set of images]")
        st.code(COMMAND, language=None, wrap_lines=True)
        st.caption(OTHERS)
    with st.container(border=True, gap="small"):
        st.markdown("**Without code** :gray[an architecture of torchvision’s, your weights, your images]")
        if read_only():
            st.caption(
                "This server is read-only (AIQ_READ_ONLY is set), so nothing can be added here. On your own machine "
                "`make app` opens this page."
            )
        elif installed(Engine.EAGER) is None:
            st.caption("This install only shows what was measured; `make app` installs what a dry run needs.")
        else:
            _without_code()


def _without_code() -> None:
    """The form; in its place the trial that runs, or waits for a decision."""
    errors.say(form.PLACE)
    task = trial.current(known.library())
    st.session_state[SEEN] = _standing(task)
    if task is None:
        form.draw()
    elif task.status in jobs.UNFINISHED:
        st.fragment(_progress, run_every=POLL_S)()
    else:
        st.markdown(f"Dry run of `{task.settings['name']}`, {task.settings['network']}")
        if task.status is RunStatus.DONE:
            _found(task)
        else:
            _ended(task)


def _standing(task: Task | None) -> tuple[str, str] | None:
    return None if task is None else (task.id, str(task.status))


def _progress() -> None:
    library = known.library()
    with errors.kept(form.PLACE):
        jobs.reap(library)
        jobs.ensure_worker(library)
    task = trial.current(library)
    if task is None or _standing(task) != st.session_state.get(SEEN):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        said = task.said or ("waiting for its turn" if task.status is RunStatus.QUEUED else "starting")
        st.progress(task.share, text=f"Trying {task.settings['name']}: {said}")
        st.button("Cancel", key=f"cancel-{task.id}", type="tertiary", on_click=_act, args=(tasks.cancel, task.id))


def _ended(task: Task) -> None:
    """A trial that was cancelled, failed or interrupted."""
    if task.status is RunStatus.FAILED:
        st.error(trial.plain(task, task.message) or "its process died", icon=":material/error:")
    else:
        st.caption(f"It is {task.status}; nothing was added.")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Try it again", key="trial-resume", icon=":material/replay:", on_click=_act, args=(tasks.resume, task.id)
        )
        st.button("Forget it", key="trial-forget", type="tertiary", on_click=_act, args=(trial.forget, task))


def _act(what: Any, of: Any) -> None:
    with errors.kept(form.PLACE):
        what(known.library(), of)


def _keep(task: Task) -> None:
    with errors.kept(form.PLACE):
        trial.keep(known.library(), task)
        name = task.settings["name"]
        controls.choose_model(name)
        st.session_state[errors.NOTE + form.PLACE] = (
            f"{known.model(name).title} is added and chosen. Next: its frontier, on Explore, which measures what "
            "its bits are worth."
        )


def _found(task: Task) -> None:
    """What a dry run found, and what may be done with it."""
    document = task.result
    refused = document.get(trial.REFUSED)
    numbers, sheet = st.columns([0.55, 0.45], gap="small")
    with numbers:
        if refused:
            st.error(trial.plain(task, refused), icon=":material/error:")
        if "report_images" in document:
            _accuracy(document)
        st.caption(trial.plain(task, "  \n".join(_lines(document))))
    path = Path(document.get("contact_sheet", ""))
    if path.is_file():
        with sheet:
            st.image(str(path), alt="Twelve images with their classes and what the network reads them as")
    allowed = not refused
    if document.get("is_chance"):
        st.warning(
            f"Chance level: guessing gives {number(document['chance_percent'], 2)} %, which the interval holds. Look "
            "at the preprocessing and at the order of classes.",
            icon=":material/casino:",
        )
        allowed = allowed and st.checkbox("Keep it all the same; every page says so then", key="trial-chance")
    with st.container(horizontal=True, gap="small"):
        if not refused:
            st.button(
                "Keep it",
                key="trial-keep",
                type="primary",
                icon=":material/check:",
                on_click=_keep,
                args=(task,),
                disabled=not allowed,
            )
        st.button("Forget it", key="trial-forget", type="tertiary", on_click=_act, args=(trial.forget, task))


def _accuracy(document: Mapping[str, Any]) -> None:
    for split in ("report", "search"):
        found = Interval(document[f"{split}_top1_percent"], *document[f"{split}_top1_interval"])
        st.markdown(
            f"FP32 top-1 **{number(found.value, 2)} %** :gray[({span(found)}), {document[f'{split}_right']:,} of "
            f"{document[f'{split}_images']:,} {split} images]"
        )
    better = document["better_class_order"]
    if better is not None:
        st.warning(
            f"In another order of classes {better['right']:,} of {better['of']:,} would be right "
            f"({number(better['top1_percent'], 1)} %): give the classes in the order of the network’s outputs.",
            icon=":material/sort:",
        )


def _lines(document: Mapping[str, Any]) -> list[str]:
    wrong = [f"{document[f'keys_{kind}']:,} {kind}" for kind in ("missing", "unexpected", "misshaped")]
    lines = [
        f"{document['keys_loaded']:,} tensors loaded, {', '.join(wrong)}; {document['parameters']:,} parameters",
        *document["said"],
    ]
    if "flops" in document:
        lines.append(
            f"{document['quantizable_layers']} layers can have bits; {prefixed_rate(document['flops'], ' ')}FLOP and "
            f"{size(document['moved_bytes'])} moved an image: AI {number(document['intensity'], 2)} FLOPs per byte "
            "(computed, FP32, batch 1)"
        )
    lines += [f"refused: {told}" for told in document["operators_refused"]]
    if "estimate" in document:
        cost = document["estimate"]
        lines.append(
            f"a greedy search asks for about {cost['evaluations']:,} evaluations, {duration(60 * cost['minutes'])} "
            f"here, on {cost['images']:,} search images"
        )
    return lines
