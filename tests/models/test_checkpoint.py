import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.small_model import small_model
from unigen.errors import UserError
from unigen.models.checkpoint import CONFIG, FORMAT, WEIGHTS, load_model, save_model


@pytest.fixture
def folder(tmp_path):
    save_model(small_model(), tmp_path)
    return tmp_path


def test_a_model_comes_back_bit_for_bit(folder):
    model, wanted = load_model(folder), small_model()
    assert model.config == wanted.config
    assert not model.training
    assert all(torch.equal(tensor, wanted.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_bf16_halves_the_file_and_keeps_three_digits(folder, tmp_path):
    wanted = small_model()
    save_model(wanted, tmp_path / "half", dtype="bf16")
    assert (tmp_path / "half" / WEIGHTS).stat().st_size < 0.6 * (folder / WEIGHTS).stat().st_size
    model = load_model(tmp_path / "half")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, wanted.state_dict()[name], rtol=2**-8, atol=0)
    assert torch.equal(model.embedding.lattice_mean, wanted.embedding.lattice_mean)


def test_missing_weights(folder):
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match="missing"):
        load_model(folder)


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, 0.99])
def test_truncated_weights(folder, kept):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    with pytest.raises(UserError, match="truncated"):
        load_model(folder)


def test_weights_of_another_version(folder):
    save_file(load_file(folder / WEIGHTS), folder / WEIGHTS, metadata={"format": "unigen-999"})
    with pytest.raises(UserError, match=f"unigen-999; wanted {FORMAT}"):
        load_model(folder)


def test_weights_that_do_not_fit_the_config(folder):
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace("head_width: 16", "head_width: 32"))
    with pytest.raises(UserError, match="do not fit"):
        load_model(folder)


def test_an_unknown_mixer_is_named(folder):
    text = (folder / CONFIG).read_text()
    (folder / CONFIG).write_text(text.replace("- attention\n- attention", "- attention\n- mamba"))
    with pytest.raises(UserError, match="mamba"):
        load_model(folder)


def test_a_config_of_another_size_is_refused_before_such_a_network_is_built(folder):
    text = (folder / CONFIG).read_text().replace("width: 32", "width: 65536")
    (folder / CONFIG).write_text(text)
    with pytest.raises(UserError, match=r"weights do not fit config\.yaml: \d+ tensors differ"):
        load_model(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(folder, value):
    weights = load_file(folder / WEIGHTS)
    name = min(weights)
    weights[name].view(-1)[0] = value
    save_file(weights, folder / WEIGHTS, metadata={"format": FORMAT})
    with pytest.raises(UserError, match=f"weights are not finite: {name}"):
        load_model(folder)
