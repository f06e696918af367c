"""What logs tell of moves."""

import structlog
from support.doubles import SPOT
from support.doubles_drift import DriftRoom
from support.doubles_servers import run_virtually

from extender.telemetry.logs import tidy


def test_lines_of_a_move_say_whose_it_is_in_one_way() -> None:
    async def main() -> None:
        room = DriftRoom()
        room.world.nodes(spot=2, on_demand=2)
        room.drifted(on_demand=6, spot=4)
        async with room.running():
            await room.after(60)

    with structlog.testing.capture_logs() as lines:
        run_virtually(main)
    move, judged = (tidy(None, "", dict(line)) for line in lines)
    for line in (move, judged):
        assert (line["workload"], line["namespace"], line["class"]) == ("Deployment/web", "shop", SPOT)
        assert line["reason"] == "surplus"
    assert (move["event"], move["log_level"], move["outcome"], move["dry"]) == ("move", "info", "started", False)
    assert (judged["event"], judged["outcome"], judged["pod"]) == ("move judged", "moved", move["pod"])
    assert judged["replacement"] not in ("", move["pod"])
    assert "error" not in move
