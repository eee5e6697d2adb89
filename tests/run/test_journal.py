"""What wandb is told of a run, read from the file of an offline run."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir

import languages
from run.journal import Journal
from tests.conftest import ROOT
from tests.wandb_file import records


def test_an_offline_run_of_wandb_has_its_place_and_every_metric(tmp_path: Path) -> None:
    languages.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", ["wandb=offline", "seed=3", "language=python"])
    folder = tmp_path / "python-tiny-1"
    folder.mkdir()
    journal = Journal(folder, config)
    journal.log({"step": 0, "heldout/pass@1": 0.25})
    journal.log({"step": 1, "reward": 0.5, "pass@1": 0.5, "seconds/step": 2.0})
    journal.close()

    found = list(records(next(folder.glob("wandb/offline-run-*/*.wandb"))))
    run = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert (run.project, run.display_name, run.run_group) == ("agnostics", "python-tiny-1", "tiny-starter-python")
    assert set(run.tags) == {"tiny", "starter", "python"} and run.job_type == "train"
    settings = {item.key: item.value_json for item in run.config.update}
    assert settings["seed"] == "3"
    logged = [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    assert [(row.get("_step"), row.get("heldout/pass@1"), row.get("reward")) for row in logged] == [
        ("0", "0.25", None),
        ("1", None, "0.5"),
    ]
