"""Cases in which files are scored or recorded."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.field.rig import Cases, Result, Rig, predictions, rows

CASES = Cases()


def inputs(rig: Rig, case: str, **files: bytes) -> Path:
    """Make a case's folder with files in ``in``; ``__`` in a name is a dot, ``___`` a slash."""
    folder = rig.scratch(case)
    for name, content in files.items():
        path = folder / "in" / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "in").mkdir(exist_ok=True)
    return folder


@CASES.add("11 optional column in a later file", "the union of the files' columns is read: 1003002.5")
def columns_differ(rig: Rig) -> Result:
    folder = inputs(rig, "c11")
    pq.write_table(pa.table({"store": ["007"], "n": [2]}), folder / "in" / "a.parquet")
    pq.write_table(pa.table({"store": ["12"], "km": [2.5], "n": [3]}), folder / "in" / "b.parquet")
    result = rig.batch(folder, "shop", "--alias", "opt", "--keep", "all").expect(0)
    assert predictions(folder / "out")[1] == pytest.approx(1003002.5, abs=0.01)
    assert {row["km"] for row in rows(folder / "out")} == {None, 2.5}
    return result


@CASES.add("28 headers in another order", "each CSV file is read by its own header")
def headers_differ(rig: Rig) -> Result:
    folder = inputs(rig, "c28", a__csv=b"store,km,n\n007,1.5,2\n", b__csv=b"n,store,km\n3,12,2.5\n")
    result = rig.batch(folder, "shop").expect(0)
    scored = predictions(folder / "out")
    assert len(scored) == 2, scored
    assert abs(scored[0] - 2001.5) < 0.01, scored
    assert abs(scored[1] - 1003002.5) < 0.01, scored
    return result


@CASES.add("06 line break in quotes", "never a scored row with a cut value")
def line_break(rig: Rig) -> Result:
    folder = inputs(rig, "c06", a__csv=b'km,n,store\n1.5,2,"007\nsecond line"\n2.5,3,12\n')
    result = rig.batch(folder, "shop", "--keep", "store").expect(0)
    assert {row["store"] for row in rows(folder / "out")} <= {"12", "007\nsecond line"}, rows(folder / "out")
    return result


@CASES.add("06b quote never closed", "the row is not scored with a cut value")
def open_quote(rig: Rig) -> Result:
    folder = inputs(rig, "c06b", a__csv=b'km,n,store\n1.5,2,"007\n2.5,3,12\n')
    result = rig.batch(folder, "shop", "--keep", "store")
    assert "Traceback" not in result.text
    assert {row["store"] for row in rows(folder / "out")} <= {"12"}, rows(folder / "out")
    return result


@CASES.add("07 CSV in Latin-1", "the row is rejected as INVALID_UTF8")
def latin1(rig: Rig) -> Result:
    folder = inputs(rig, "c07", a__csv=b"store,km,n\nCaf\xe9,1.5,2\n")
    result = rig.batch(folder, "shop", "--keep", "store").expect(0, "INVALID_UTF8")
    assert rows(folder / "out") == [], rows(folder / "out")
    return result


@CASES.add("07b CSV in Latin-1, named", "with --encoding it is read")
def latin1_named(rig: Rig) -> Result:
    folder = inputs(rig, "c07b", a__csv=b"store,km,n\nCaf\xe9,1.5,2\n")
    result = rig.batch(folder, "shop", "--keep", "store", "--encoding", "latin-1").expect(0)
    assert [row["store"] for row in rows(folder / "out")] == ["Café"]
    return result


@CASES.add("08 colon in a file's name", "the file is read")
def colon(rig: Rig) -> Result:
    folder = inputs(rig, "c08")
    (folder / "in" / "2026-01-01T10:00:00.csv").write_bytes(b"store,km,n\n007,1.5,2\n")
    result = rig.batch(folder, "shop")
    assert result.code in (0, 2), str(result)
    assert result.code == 2 or len(rows(folder / "out")) == 1
    assert "Traceback" not in result.text
    return result


@CASES.add("09 partition folders", "store=007 is text and scores as 007")
def partition_zeros(rig: Rig) -> Result:
    row = b"km,n\n1.5,2\n"
    folder = inputs(rig, "c09", **{"store=007___a__csv": row, "store=12___a__csv": row})
    result = rig.batch(folder, "shop").expect(0)
    scored = predictions(folder / "out")
    assert scored == pytest.approx([2001.5, 1002001.5], abs=0.01)
    return result


@CASES.add("09b kept partition folder", "zip=00501 keeps its zeros")
def kept_zeros(rig: Rig) -> Result:
    folder = inputs(rig, "c09b", **{"zip=00501___a__csv": b"store,km,n\n007,1.5,2\n"})
    result = rig.batch(folder, "shop", "--keep", "zip").expect(0)
    assert [row["zip"] for row in rows(folder / "out")] == ["00501"]
    return result


@CASES.add("10 nanosecond timestamps", "a column that the model does not read stops nothing")
def nanoseconds(rig: Rig) -> Result:
    folder = inputs(rig, "c10")
    seen = pa.array([datetime(2026, 1, 1)], pa.timestamp("ns"))  # noqa: DTZ001
    table = pa.table({"store": ["007"], "km": [1.5], "n": [2], "seen": seen})
    pq.write_table(table, folder / "in" / "a.parquet")
    result = rig.batch(folder, "shop").expect(0)
    assert len(rows(folder / "out")) == 1
    return result


@CASES.add("35 text without its annotation", "binary that is UTF-8 is read as text")
def plain_binary(rig: Rig) -> Result:
    folder = inputs(rig, "c35")
    pq.write_table(pa.table({"store": [b"007"], "km": [1.5], "n": [2]}), folder / "in" / "a.parquet")
    result = rig.batch(folder, "shop").expect(0)
    assert predictions(folder / "out") == pytest.approx([2001.5], abs=0.01)
    return result


@CASES.add("36 integers in one file, doubles in another", "integers are widened")
def widened(rig: Rig) -> Result:
    folder = inputs(rig, "c36")
    pq.write_table(pa.table({"store": ["007"], "km": pa.array([1], pa.int32()), "n": [2]}), folder / "in" / "a.parquet")
    pq.write_table(pa.table({"store": ["007"], "km": [2.5], "n": [2]}), folder / "in" / "b.parquet")
    result = rig.batch(folder, "shop").expect(0)
    assert len(rows(folder / "out")) == 2
    return result


@CASES.add("36b text in one file, doubles in another", "the file that does not fit is named")
def misfit(rig: Rig) -> Result:
    folder = inputs(rig, "c36b")
    pq.write_table(pa.table({"store": ["007"], "km": [1.0], "n": [2]}), folder / "in" / "a.parquet")
    pq.write_table(pa.table({"store": ["007"], "km": [[2.5]], "n": [2]}), folder / "in" / "misfit.parquet")
    return rig.batch(folder, "shop").expect(2, "misfit.parquet", "km")


@CASES.add("50 damaged Parquet file among good ones", "the file is named")
def damaged(rig: Rig) -> Result:
    folder = inputs(rig, "c50", damaged__parquet=b"PAR1 and nothing of use PAR1")
    pq.write_table(pa.table({"store": ["007"], "km": [1.0], "n": [2]}), folder / "in" / "a.parquet")
    result = rig.batch(folder, "shop")
    assert result.code in (2, 3), str(result)
    assert "damaged.parquet" in result.text
    assert "Traceback" not in result.text
    return result


@CASES.add("46 columns that differ only in case", "the message says so and invents no names")
def cases_differ(rig: Rig) -> Result:
    folder = inputs(rig, "c46", a__csv=b"store,km,n,KM\n007,1.5,2,3\n")
    result = rig.batch(folder, "shop")
    assert result.code in (0, 2), str(result)
    assert "km1" not in result.text, result.text
    return result if result.code == 0 else result.expect(2, "case", "KM")


@CASES.add("44 pretty-printed JSON array", "it is refused as an array, exit 2")
def json_array(rig: Rig) -> Result:
    event = {"store": "007", "km": 1.5, "n": 2}
    folder = inputs(rig, "c44", a__json=json.dumps([event, event], indent=2).encode())
    return rig.batch(folder, "shop").expect(2, "JSON array", "JSON lines")


@CASES.add("43 blank lines in JSON lines", "blank lines are skipped")
def blank_lines(rig: Rig) -> Result:
    event = json.dumps({"store": "007", "km": 1.5, "n": 2}).encode()
    folder = inputs(rig, "c43", a__jsonl=b"\xef\xbb\xbf" + event + b"\r\n\r\n\n" + event + b"\n\n")
    result = rig.batch(folder, "shop").expect(0)
    assert len(rows(folder / "out")) == 2
    assert "MALFORMED_JSON" not in result.text
    return result


@CASES.add("27 rejected line that is not UTF-8", "rejected bytes are a binary column that every reader opens")
def rejected_bytes(rig: Rig) -> Result:
    folder = inputs(rig, "c27", a__jsonl=b'{"store": "Caf\xe9", "km": 1.5, "n": 2}\n')
    result = rig.batch(folder, "shop").expect(0, "INVALID_UTF8")
    rejected = rows(folder / "out.rejected")
    assert any(b"Caf\xe9" in value for row in rejected for value in row.values() if isinstance(value, bytes)), rejected
    return result


@CASES.add("87 record --lines of a PNG", "no line is JSON: exit 2")
def png_lines(rig: Rig) -> Result:
    folder = rig.scratch("c87")
    (folder / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    return rig.penstock("record", "--lines", "x.png", "--out", "rec", cwd=folder).expect(2, "x.png")


@CASES.add("44b record --lines of a JSON array", "it is refused as an array, exit 2")
def array_lines(rig: Rig) -> Result:
    folder = rig.scratch("c44b")
    (folder / "x.json").write_text(json.dumps([{"a": 1}, {"a": 2}], indent=2))
    return rig.penstock("record", "--lines", "x.json", "--out", "rec", cwd=folder).expect(2, "JSON array")


@CASES.add("86 record --from after --to", "the stretch ends before it begins: exit 2")
def backwards(rig: Rig) -> Result:
    stretch = ["--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"]
    return rig.penstock("record", "--topic", "features", *stretch, "--out", "rec", cwd=rig.scratch("c86")).expect(
        2, "before"
    )


@CASES.add("record --lines --partitions 4 without a key", "every partition gets its share")
def spread(rig: Rig) -> Result:
    folder = rig.scratch("spread")
    event = {"event_time": "2026-01-01T00:00:00Z", "km": 1}
    lines = [json.dumps({"event_id": f"e{number}", **event}) for number in range(1000)]
    (folder / "e.jsonl").write_text("\n".join(lines) + "\n")
    result = rig.penstock("record", "--lines", "e.jsonl", "--partitions", "4", "--out", "rec", cwd=folder).expect(0)
    counts = [pq.read_metadata(path).num_rows for path in sorted((folder / "rec").glob("*.parquet"))]
    assert sum(counts) == 1000, counts
    assert len(counts) == 4, counts
    assert min(counts) > 150, counts
    return result


@CASES.add("57 a file store as tracking server", "MLflow's advice in one sentence, exit 2")
def file_store(rig: Rig) -> Result:
    folder = inputs(rig, "c17", a__jsonl=b'{"store": "007", "km": 1.5, "n": 2}\n')
    return rig.batch(folder, "shop", "--set", "model.tracking_uri=./mlruns").expect(2, "mlruns")


EVENT = b'{"km": 3, "n": 2, "x": 2, "a": 1.0, "b": 2.0, "c": 1}\n'


@CASES.add("17 assembler behind PolynomialExpansion", "batch scores all rows")
def expanded(rig: Rig) -> Result:
    folder = inputs(rig, "c17e", a__jsonl=b'{"a": 1.0, "b": 2.0}\n' * 200)
    result = rig.batch(folder, "expanded").expect(0)
    assert len(rows(folder / "out")) == 200
    return result


@CASES.add("09m Imputer in place", "it serves; null gives the mean")
def imputer_in_place(rig: Rig) -> Result:
    folder = inputs(rig, "c01", a__jsonl=b'{"km": null, "n": 1}\n{"km": 3, "n": 1}\n')
    result = rig.batch(folder, "filled").expect(0)
    assert predictions(folder / "out") == pytest.approx([6, 49], abs=0.5)
    return result


@CASES.add("20 bisecting k-means", "it serves")
def bisecting(rig: Rig) -> Result:
    return rig.batch(inputs(rig, "c20", a__jsonl=EVENT), "clusters").expect(0)


@CASES.add("10-13 made-up trial rows", "a made-up row that throws refuses no valid model")
def made_up_rows(rig: Rig) -> Result:
    for alias in ("whole", "many"):
        rig.batch(inputs(rig, f"c02{alias}", a__jsonl=EVENT), "bounds", "--alias", alias).expect(0)
    return rig.batch(inputs(rig, "c02indexed", a__jsonl=EVENT), "bounds", "--alias", "indexed").expect(0)


@CASES.add("14 Python stage", "the refusal says that Python stages cannot be served")
def python_stage(rig: Rig) -> Result:
    result = rig.batch(inputs(rig, "c16", a__jsonl=EVENT), "own").expect(1, "STAGE_NOT_ALLOWED", "Python")
    assert "jar" not in result.text.replace("jars", "").lower() or "no jar" in result.text.lower(), result.text
    return result


@CASES.add("26 Python stage in model.extra_stages", "one sentence, no stack trace")
def python_extra(rig: Rig) -> Result:
    stages = "model.extra_stages=[tests.field.models.AddOne, __main__.AddOne]"
    result = rig.batch(inputs(rig, "c26", a__jsonl=EVENT), "own", "--set", stages)
    assert result.code in (1, 2), str(result)
    assert "Traceback" not in result.text
    assert "Python" in result.text
    return result
