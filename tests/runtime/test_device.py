"""Evaluation on a GPU: what it computes where there is one, and that nothing stays on the CPU where there is none."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from typer.testing import CliRunner

from aiq_core import jobs
from aiq_core.__main__ import app
from aiq_core.errors import SettingError
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import Library, open_library
from aiq_core.records import FP32_BITS, ImageSet, Origin, Policy, Request, RunStatus, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.chunk import CHUNK
from aiq_core.runtime.device import device_of
from aiq_core.runtime.evaluate import Given, TorchEvaluator, _copies
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.space import JOINT
from tests import bundled
from tests.networks import Lambda
from tests.runtime.test_network import NETWORKS, images, network_of, run

DIGITS = bundled.model("digits_cnn")
HOW = JOINT.quantizer(DIGITS.dataset)
IMAGES = ImageSet(SplitName.SEARCH, 250)
CUDA = torch.device("cuda")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("AIQ_DEVICE", raising=False)
    return open_library()


@contextmanager
def there() -> Iterator[None]:
    """Tensors have no numbers and are on a GPU that is not there; an operator of two devices is an error all the same.

    Without cuDNN, which would look for the GPU before it runs recurrent layers.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        yield


def policies() -> list[Policy]:
    """FP32, all narrow with the image, and a layer of another width behind a shared beginning."""
    profile = DIGITS.profile
    narrow = Policy((4,) * len(profile.quantizable), (4,) * len(profile.activation_groups))
    return [profile.uniform(FP32_BITS), narrow, replace(narrow, weight_bits=(*narrow.weight_bits[:-1], 8))]


def test_a_gpu_predicts_what_the_cpu_does(gpu: torch.device) -> None:
    on_cpu, on_gpu = (TorchEvaluator(DIGITS, IMAGES, HOW, device=each) for each in (device_of(None), gpu))
    base = policies()[1]
    for policy in policies():
        meant, found = (by.logits(policy, base) for by in (on_cpu, on_gpu))
        # FP32 sums in another order; where a tensor is rounded, a tie may fall to the other side.
        assert np.mean(np.abs(meant - found) > 1e-3) < 0.01
        first, second = np.sort(meant, axis=1)[:, -2:].T
        clear = second - first > 1e-2
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(meant.argmax(1)[clear], found.argmax(1)[clear])


def test_a_run_on_a_gpu_says_so(library: Library, gpu: torch.device) -> None:
    request = Request("digits_cnn", "uniform", policies=(policies()[1],), images=250, device="cuda", use_bundled=False)
    done = execute(library, library.add_run(new_run(DIGITS, request)), Evaluators(1))
    assert done.status is RunStatus.DONE, done.message
    assert done.origin is not None
    assert torch.cuda.get_device_name(gpu) in done.origin.cpu
    assert "CUDA" in done.origin.cpu


@pytest.mark.parametrize(("module", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_no_tensor_of_a_network_stays_behind(module: nn.Module, shape: tuple[int, ...]) -> None:
    network = network_of(module, shape)
    with torch.inference_mode():
        run(network, images(shape, 4))
    with there():
        network.to(CUDA)
        seen: list[str] = []

        def store(_: int, tensor: Tensor) -> Tensor:
            seen.append(tensor.device.type)
            return tensor.round_()

        assert run(network, images(shape, 4).to(CUDA), store).device.type == "cuda"
    assert set(seen) <= {"cuda"}


@pytest.mark.thorough
def test_products_and_convolutions_are_exact_whatever_was_set_before() -> None:
    """In a process of its own, as they are settings of all of torch's."""
    code = """if True:
        import torch
        from aiq_core.runtime.device import compute_exactly
        torch.set_float32_matmul_precision("high")
        torch.backends.fp32_precision = "tf32"
        torch.backends.cudnn.benchmark = True
        compute_exactly()
        kinds = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
        print({kind.fp32_precision for kind in kinds})
        print(torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
        print(torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    """
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert said.stdout.splitlines() == ["{'ieee'}", "False False", "False True"], said.stderr


def test_a_network_that_runs_whole_is_moved_too() -> None:
    rows = Lambda(lambda n, x: torch.stack([n.linear(each) for each in x]), linear=nn.Linear(4, 3))
    network = network_of(rows, (4,))
    assert network.is_whole
    with there():
        network.to(CUDA)
        layers = [parameter for layer in network.layers.values() for parameter in layer.parameters()]
        assert {tensor.device.type for tensor in (*layers, *network._module.parameters())} == {"cuda"}
        # By them it is told which layer is called.
        assert all(network._tensors[name] is each for name, each in network._module.named_parameters())


def test_a_constant_left_behind_is_an_error() -> None:
    """What the test above goes by."""
    network = network_of(*NETWORKS["stepwise"])
    with torch.inference_mode():
        run(network, images((3, 4), 4))
    with there():
        network.to(CUDA)
        plan = network._plans[4]
        held = {name: torch.zeros(tensor.shape) for name, tensor in plan.constants.items()}
        network._plans[4] = replace(plan, constants=held)
        with pytest.raises(RuntimeError, match="device"):
            run(network, images((3, 4), 4).to(CUDA))


def test_an_evaluator_moves_images_weights_and_what_it_shares() -> None:
    """Everything but the numbers: rounded images, layers at several widths, activations, and a cached beginning."""
    assert HOW.activations is not None
    ranges, layers = calibration(DIGITS, HOW.activations), RoundedLayers(DIGITS, HOW)
    given = Given(np.arange(250), ranges, layers)
    here = TorchEvaluator(DIGITS, IMAGES, HOW, 1, 2**20, given=given)
    here.chunk_logits(0, *policies()[:1], base=policies()[0])  # plans are made where numbers are
    with there():
        here.device = CUDA
        here.network.to(CUDA)
        here._folded = [_copies(layer) for layer in here._layers]
        here.arrange(np.arange(250))
        for policy in policies():
            assert here._forward(0, policy, policies()[1]).device.type == "cuda"
        assert here._cache.held_bytes > 0
        # A tensor that takes the place of another's numbers is still thought to be where that was.
        assert {tensor.device.type for both in here._rounded.values() for tensor in both} == {"cuda"}


def test_a_device_is_no_part_of_what_a_request_is() -> None:
    request = Request("digits_cnn", "greedy", 0.9)
    moved = replace(request, device="cuda")
    assert moved.digest == request.digest
    assert Request.from_json(json.loads(json.dumps(moved.to_json()))) == moved
    assert "device" not in request.to_json()
    assert moved.is_ordinary


def test_another_processor_does_not_go_on_with_a_partial() -> None:
    here = Origin("AMD EPYC (AVX512)", "2.14.1", 2, CHUNK, "now")
    assert not here.can_resume(replace(here, cpu="NVIDIA H200 (CUDA 13.0, cuDNN 91300)"))


def test_a_run_says_what_else_measured_what_it_found(library: Library) -> None:
    request = Request("digits_cnn", "uniform", policies=tuple(policies()[:1]), images=250, use_bundled=False)
    gpu = "NVIDIA H200 (CUDA 13.0, cuDNN 91300)"
    for _ in range(2):
        done = execute(library, library.add_run(new_run(DIGITS, request)), Evaluators(1))
        assert done.message == ""
    with library.store.writing() as db:
        db.execute("UPDATE evaluations SET cpu=?", (gpu,))
    done = execute(library, library.add_run(new_run(DIGITS, request)), Evaluators(1))
    assert done.message == f"what was known already was measured on {gpu}"


def ask(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["search", "digits_cnn", *arguments])
    return found.exit_code, str(found.exception)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("cuda", "device='cuda' is not here: torch sees no NVIDIA GPU; choose cpu"),
        ("tpu", "device='tpu' is not offered; choose from cpu, cuda"),
    ],
)
def test_a_device_that_is_not_here_is_refused_before_anything_is_queued(
    library: Library, monkeypatch: pytest.MonkeyPatch, device: str, said: str
) -> None:
    for arguments in (["--device", device], []):
        status, message = ask(*arguments)
        assert (status, message) == (1, said)
        monkeypatch.setenv("AIQ_DEVICE", device)  # the second time it is the server's setting
    assert not library.store.runs()


def test_a_cluster_has_devices_of_its_own(library: Library) -> None:
    request = Request("digits_cnn", "greedy", 0.9, cluster="tcp://host:8786", device="cpu")
    with pytest.raises(SettingError, match="leave one of the two out"):
        new_run(DIGITS, request)


def test_what_a_request_names_comes_before_the_setting(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "ensure_worker", lambda _: None)
    monkeypatch.setenv("AIQ_DEVICE", "cpu")
    asked = Request("digits_cnn", "greedy", 0.9, images=500)
    assert jobs.submit(library, asked).request.device == "cpu"
    monkeypatch.setenv("AIQ_DEVICE", "tpu")
    assert jobs.submit(library, replace(asked, device="cpu")).request.device == "cpu"
    with pytest.raises(SettingError, match="device='tpu'"):
        jobs.submit(library, asked)
