"""The README shows what the code really prints."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_printed_graph_is_the_codes_own(tmp_path: Path) -> None:
    program = ROOT / "examples" / "quickstart.py"
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    readme = (ROOT / "README.md").read_text()
    assert f"```\n{done.stdout}```\n" in readme
    body = program.read_text().partition('if __name__ == "__main__":\n')[2]
    assert "\n".join(line[4:] for line in body.splitlines()) in readme
    assert (tmp_path / "mlp.svg").exists()


def test_every_local_link_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text()
    links = re.findall(r'(?:src="|\]\()(?!https?:)([^")#]+)', readme)
    assert "docs/images/gpt.svg" in links
    for path in (*links, *re.findall(r"`((?:docs|examples|benchmarks|tracer)/[\w./]*)`", readme)):
        assert (ROOT / path).exists(), path
