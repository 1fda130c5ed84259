from pathlib import Path

import pytest

from stationmaster.host import clock, files
from stationmaster.mirror import volume
from stationmaster.model import errors


def test_a_copied_volume_gets_an_id_of_its_own_and_keeps_what_it_holds(tmp_path: Path) -> None:
    disk = files.Files()
    made = volume.init_volume(disk, tmp_path / "mirror", clock.SystemClock(), hub="t")
    (made.root / "pool" / "kept").write_text("x")
    renewed = volume.renew_id(disk, made)
    assert renewed.id != made.id
    assert volume.open_volume(disk, made.root, expected_id=renewed.id, hub="t").marker.created == made.marker.created
    assert (made.root / "pool" / "kept").read_text() == "x"
    with pytest.raises(errors.StationmasterError):
        volume.open_volume(disk, made.root, expected_id=made.id)
