import pytest
from npuserve.migrate.report.words import Words


def test_english_is_as_it_is() -> None:
    words = Words("en")
    assert words("Gates") == "Gates"
    assert words("{count} more are in {file}", count=3, file="x") == "3 more are in x"
    assert words.sentence("cosine of logits") == "cosine of logits"
    assert words.column("p50_ms") == "P50 (ms)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cosine of logits", "logits 的余弦相似度"),
        ("cosine of one answer", "单条应答的余弦相似度"),
        ("QPS at 8 at once, median of 3 rounds, of the baseline's", "并发 8 的 QPS（3 轮中位数），相对基线"),
        ("what nobody knows", "what nobody knows"),
    ],
)
def test_gates_are_named_in_chinese(name: str, text: str) -> None:
    assert Words("zh").sentence(name) == text


def test_what_has_no_chinese_stays_english() -> None:
    assert Words("zh").column("new_figure_ms") == "new figure (ms)"
