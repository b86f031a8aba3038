"""Training that was interrupted equals training that ran through, bit for bit; other files are refused."""

import numpy as np
import pytest
import torch

from opendiff.errors import ModelError
from opendiff.storage.resume import TrainingState, fingerprint
from opendiff.storage.work_folder import WorkFolder


def train(state: TrainingState, steps: int, stop: int | None = None):
    """A small training with everything that has a state: batch statistics, dropout, Adam, a schedule, an average."""
    torch.manual_seed(3)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
    )
    optimiser = torch.optim.AdamW(net.parameters(), betas=(0.8, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    average = {name: value.clone() for name, value in net.state_dict().items()}
    done, notes = state.restore({"net": net}, optimiser, schedule, average)
    losses = notes.get("losses", [])
    for step in range(done, steps):
        x = torch.randn(16, 3)
        loss = (net(x).sum(1) - x.sum(1)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        for name, value in net.state_dict().items():
            average[name].copy_(value if not value.is_floating_point() else average[name].lerp(value, 0.1))
        losses = [*losses, loss.item()]
        state.offer(step + 1, {"net": net}, optimiser, schedule, average, {"losses": losses})
        if step + 1 == stop:
            break
    return {**net.state_dict(), **{f"average {name}": value for name, value in average.items()}}, losses


def test_resumed_training_equals_one_that_ran_through(tmp_path):
    whole, losses = train(TrainingState(None, "a"), 12)
    path = tmp_path / "net.state"
    train(TrainingState(path, "a", seconds=0), 12, stop=5)
    assert path.is_file()
    torch.rand(7)  # whatever was drawn in between
    state = TrainingState(path, "a", seconds=0)
    resumed, again = train(state, 12)
    assert again == losses and all(torch.equal(resumed[name], whole[name]) for name in whole)
    state.finish()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_saved_before_its_time(tmp_path):
    train(TrainingState(tmp_path / "net.state", "a", seconds=60), 3)
    assert list(tmp_path.iterdir()) == []


def test_a_state_of_other_settings_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "net.state"
    train(TrainingState(path, "a", seconds=0), 4, stop=2)
    with pytest.raises(ModelError, match="other data or settings; delete it"):
        train(TrainingState(path, "b"), 4)
    other = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="does not fit this version"):
        TrainingState(path, "a").restore({"other": other}, torch.optim.SGD(other.parameters(), lr=1.0))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError, match="cannot be read"):
        train(TrainingState(path, "a"), 4)


def test_fingerprints_tell_settings_and_data_apart():
    one = fingerprint({"epochs": 3}, 0, np.arange(3), torch.ones(2))
    assert one == fingerprint({"epochs": 3}, 0, np.arange(3), torch.ones(2))
    others = [
        fingerprint({"epochs": 4}, 0, np.arange(3), torch.ones(2)),
        fingerprint({"epochs": 3}, 1, np.arange(3), torch.ones(2)),
        fingerprint({"epochs": 3}, 0, np.arange(3.0), torch.ones(2)),
        fingerprint({"epochs": 3}, 0, np.arange(3), torch.zeros(2)),
    ]
    assert len({one, *others}) == 5


def test_work_folder_finds_what_belongs_to_the_key_only(tmp_path):
    folder = WorkFolder(tmp_path / "work")
    folder.write("part", "a" * 64, {"values": np.arange(3)}, {"done": 2})
    arrays, notes = folder.read("part", "a" * 64)
    assert arrays["values"].tolist() == [0, 1, 2] and notes == {"done": 2}
    assert folder.read("part", "b" * 64) is None and folder.read("other", "a" * 64) is None
    next((tmp_path / "work").iterdir()).write_bytes(b"damaged")
    assert folder.read("part", "a" * 64) is None
    nowhere = WorkFolder(None)
    nowhere.write("part", "a", {"values": np.arange(3)})
    assert nowhere.read("part", "a") is None and nowhere.training("part", "a").path is None
