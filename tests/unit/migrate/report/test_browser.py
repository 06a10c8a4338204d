"""The page in a real browser, where there is one."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium: apt-get install chromium")

# What the page's layout comes to, in its title, which the browser prints.
_MEASURE = """<script>
const wide = [...document.querySelectorAll('body *')].filter(e => !e.closest('svg') && !e.closest('.wide'))
  .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).length;
const clipped = [...document.querySelectorAll('svg text')].filter(e => {
  const s = e.ownerSVGElement.getBoundingClientRect(), t = e.getBoundingClientRect();
  return t.left < s.left - 1 || t.right > s.right + 1 || t.top < s.top - 1 || t.bottom > s.bottom + 1;
}).map(e => e.textContent);
document.title = `MEASURED ${document.documentElement.scrollWidth <= window.innerWidth} ${wide} [${clipped}]`;
</script></body>"""


def browse(*arguments: str) -> str:
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [1200, 600])
def test_nothing_is_wider_than_the_window_and_no_text_is_clipped(
    report: Callable[..., Path], tmp_path: Path, language: str, width: int
) -> None:
    page = (report(language) / "report.html").read_text(encoding="utf-8")
    measured = tmp_path / "measured.html"
    measured.write_text(page.replace("</body>", _MEASURE), encoding="utf-8")
    dom = browse(f"--window-size={width},900", "--dump-dom", measured.as_uri())
    assert re.findall(r"<title>(MEASURED.*?)</title>", dom) == ["MEASURED true 0 []"]


def test_it_prints_on_few_pages(report: Callable[..., Path], tmp_path: Path) -> None:
    printed = tmp_path / "report.pdf"
    browse("--no-pdf-header-footer", f"--print-to-pdf={printed}", (report() / "report.html").as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert 5 <= pages <= 12
