"""The command line: tables, JSON, exit codes, and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from thuesim_desk import config
from thuesim_desk.command_line import main
from thuesim_desk.tables import table

from .stand_in import KEY, ME, PHONE, Fault, StandIn

pytestmark = pytest.mark.usefixtures("signed_in")
Capture = pytest.CaptureFixture[str]
PACKAGE = Path(__file__).parents[1]


def _until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_services_are_a_table(capsys: Capture) -> None:
    assert main(["services", "zalo"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ID    NAME    PRICE  WAITS  SUCCESS  MEDIAN",
        "01.2  Zalo  1.450 ₫  300 s  80%      21 s",
    ]


def test_json_is_what_the_desk_sent(capsys: Capture, stand_in: StandIn) -> None:
    stand_in.order()
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == list(stand_in.rentals.values())
    assert main(["balance", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"][0]["balance"] == 125000


def test_list_and_balance_are_tables(capsys: Capture, stand_in: StandIn) -> None:
    stand_in.message(stand_in.order()["id"], "0042")
    stand_in.order()
    assert main(["list", "--number", "1"]) == 0
    assert " 2  01.2     waiting  0852 222 127        1.450 ₫  2026-11-26 14:00" in capsys.readouterr().out
    assert main(["balance"]) == 0
    out = capsys.readouterr().out
    assert "main   125.000 ₫  2026-11-26 14:00" in out
    assert "Key, today  50.000 ₫  48.550 ₫" in out


def test_rent_and_wait_prints_the_code_alone(capsys: Capture, stand_in: StandIn) -> None:
    def answer() -> None:
        _until(lambda: stand_in.rentals)
        stand_in.message(1, "195829")

    stand_in.later(0.2, answer)
    stand_in.second = 1
    assert main(["rent", "01.2", "--network", "VIETTEL", "--max-price", "2000", "--wait"]) == 0
    out, err = capsys.readouterr()
    assert out == "195829\n"
    assert "rental 1: 0852 222 127" in err
    assert stand_in.requests[0][3] == {"service": "01.2", "networks": ["VIETTEL"], "max_price": 2000}


def test_rent_without_wait_prints_the_id(capsys: Capture) -> None:
    assert main(["rent", "01.2"]) == 0
    assert capsys.readouterr().out == "1\n"


@pytest.mark.parametrize(
    ("status", "phone", "code"), [("refused", None, 3), ("cancelled", None, 3), ("waiting", PHONE, 4), ("expired", PHONE, 5)]
)  # fmt: skip
def test_the_exit_code_says_how_a_wait_ended(
    capsys: Capture, stand_in: StandIn, status: str, phone: object, code: int
) -> None:
    stand_in.order(status=status, phone=phone)
    assert main(["wait", "1", "--timeout", "0.2", "--json"]) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["rental"]["status"] == status
    assert "rental 1" in err


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(401, "unauthorized"), 6), (Fault(403, "forbidden"), 6), (Fault(404, "not_found"), 1),
     (Fault(403, "budget_exceeded"), 3), (Fault(200, body=b"<html>"), 7)],
)  # fmt: skip
def test_the_exit_code_says_what_the_desk_refused(capsys: Capture, stand_in: StandIn, fault: Fault, code: int) -> None:
    stand_in.faults.append(fault)
    assert main(["rent", "01.2"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("thuesim-desk: ")


def test_a_wrong_field_is_named_without_what_programs_read(capsys: Capture, stand_in: StandIn) -> None:
    errors = [{"field": "service", "detail": "There is no service."}]
    stand_in.faults.append(Fault(422, "invalid", errors=errors, detail="See “errors”."))
    assert main(["rent", "01.2"]) == 1
    assert capsys.readouterr().err == "thuesim-desk: service: There is no service. [invalid]\n"


def test_help_tells_the_exit_codes(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rent", "--help"])
    assert ended.value.code == 0
    assert "3    not rented: no number, nothing charged" in capsys.readouterr().out


def test_no_address_is_told_with_what_to_do(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUESIM_DESK_URL")
    assert main(["list"]) == 2
    assert "thuesim-desk login" in capsys.readouterr().err


def test_login_stores_a_key_that_works(capsys: Capture, monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> None:
    monkeypatch.delenv("THUESIM_DESK_URL")
    monkeypatch.delenv("THUESIM_DESK_KEY")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    assert main(["login", stand_in.url, "--key-stdin"]) == 0
    out, err = capsys.readouterr()
    assert "Signed in as Linh, team QA" in out
    assert KEY not in out + err
    assert main(["services"]) == 0


def test_login_stores_no_key_that_is_refused(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY[::-1]}\n"))
    assert main(["login", stand_in.url, "--key-stdin"]) == 6
    assert not config.path().exists()


def test_doctor_says_that_all_is_well_and_what_to_do_next(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert lines[1:] == [
        "ok  key       “ci” of Linh, operator in team QA",
        "ok  expiry    works until it is revoked",
        "ok  scopes    rent, wait, read codes",
        "ok  budget    Key, today: 48.550 ₫ of 50.000 ₫ left",
        "ok  token     main: 125.000 ₫",
        "ok  services  1 to rent for; try: thuesim-desk rent 01.2 --wait",
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"scopes": ["rentals:read"]}, "!!  scopes    lacks rentals:write (to rent), codes:read (to read the code)"),
        ({"role": "viewer"}, "!!  role      a viewer rents nothing"),
        ({"budget": [{"of": "key", "label": "Key, today", "unit": "rentals", "limit": 5, "used": 5, "left": 0}]},
         "!!  budget    Key, today: 0 of 5 left"),
    ],
)  # fmt: skip
def test_doctor_names_what_is_missing(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], line: str
) -> None:
    for name, value in change.items():
        monkeypatch.setitem(ME, name, value)
    assert main(["doctor"]) == 1
    assert line in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in answer["checks"] if not check["ok"]] == [line[4:].split()[0]]


def test_doctor_says_that_a_key_is_refused(capsys: Capture, stand_in: StandIn) -> None:
    stand_in.faults.append(Fault(401, "unauthorized", detail="This key has expired."))
    assert main(["doctor"]) == 6
    assert "This key has expired." in capsys.readouterr().err


def test_a_message_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in table(["CODE"], [["\x1b[2J4711"]])
    assert table(["NAME", "PRICE"], [["Zalo Việt", "1.450 ₫"], ["微信", "900 ₫"]]).splitlines() == [
        "NAME         PRICE",
        "Zalo Việt  1.450 ₫",
        "微信         900 ₫",
    ]


def _started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "thuesim_desk", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    pipe = subprocess.PIPE
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, preexec_fn=_heed_ctrl_c)


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_in_the_queue_cancels_the_order(stand_in: StandIn) -> None:
    stand_in.number_at_once, stand_in.second = False, 1
    process = _started("rent", "01.2", "--wait")
    _until(lambda: "GET rentals/1/wait" in stand_in.paths())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "rental 1: cancelled, nothing was charged" in err
    assert "Traceback" not in err
    assert stand_in.rentals[1]["status"] == "cancelled"


def test_ctrl_c_while_a_number_waits_says_how_to_go_on(stand_in: StandIn) -> None:
    stand_in.second = 1
    process = _started("rent", "01.2", "--wait")
    _until(lambda: "GET rentals/1/wait" in stand_in.paths())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "waiting, number 0852 222 127; it goes on. Wait again with: thuesim-desk wait 1" in err


def test_ctrl_c_during_the_order_is_held_back_until_its_id_is_known(stand_in: StandIn) -> None:
    stand_in.number_at_once = False
    stand_in.faults += [Fault(503, "starting")] * 1000
    process = _started("rent", "01.2")
    _until(lambda: stand_in.requests)
    process.send_signal(signal.SIGINT)
    stand_in.faults.clear()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the order is on its way" in err
    assert "rental 1: cancelled, nothing was charged" in err
