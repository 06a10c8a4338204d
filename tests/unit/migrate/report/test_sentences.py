"""What the chains of the example models say, in Chinese."""

import re

import pytest
from npuserve.migrate.compile.stage import ARTIFACTS as OF_COMPILE
from npuserve.migrate.export.results import ARTIFACTS as OF_EXPORT
from npuserve.migrate.export.rewrites.registry import REWRITES
from npuserve.migrate.prove import stage as prove
from npuserve.migrate.report.chinese_sentences import SENTENCES
from npuserve.migrate.report.words import Words
from npuserve.migrate.serve import stage as serve

CHECKS = (
    "cosine of the answers, ONNX Runtime against PyTorch, worst of 64 samples",
    "cosine of a padded batch of 4 against PyTorch's single answers",
    "unsupported operators",
    "exit code of atc",
    "OMs that load",
    "inputs and outputs unlike the ONNX",
    "gears unlike the plan",
    "cosine of logits",
    "max abs error of logits",
    "mean abs error of logits",
    "cosine of one answer",
    "max abs error of one answer",
    "largest difference of batched answers from single ones",
    "cosine of logits, golden sample 3",
    "accuracy drop",
    "drop of the entities' F1",
    "answers with the same class as the baseline's",
    "QPS at 32 at once, median of 3 rounds, of the baseline's",
    "P99 at 32 at once, median of 3 rounds, of the baseline's",
)
NOTES = (
    "max abs error 2.26e-06, mean 6.29e-07",
    "21 operators, 233 nodes: all supported",
    "npuserve: npuserve, backend ascend",
    "baseline: npuserve, backend onnxruntime",
    "baseline: triton 2.51.0",
    prove.UNLABELLED,
    prove.UNKNOWN,
    "a round had 40 requests at least: of fewer than 100 the P99 is the longest; raise prove.seconds",
)
CELLS = (
    "one request against the baseline",
    "single requests against the baseline",
    "requests of 9 rows",
    "64 requests at once",
    "node_gather, node_embedding, node_embedding_1 and 2 more",
    "float16: 0.0039 of the largest value (5.47), 0.002 of their root mean square (1.2)",
)


@pytest.mark.parametrize(
    "text",
    [
        *CHECKS,
        *NOTES,
        *CELLS,
        *OF_EXPORT.values(),
        *OF_COMPILE.values(),
        *serve._ARTIFACTS.values(),
        *serve._ADVICE,
        *prove._ARTIFACTS.values(),
        *(each.reason for each in REWRITES),
    ],
)
def test_it_is_said_in_chinese_with_its_numbers(text: str) -> None:
    said = Words("zh").sentence(text)
    assert re.search(r"[\u4e00-\u9fff]", said), said
    if text not in {each.reason for each in REWRITES}:
        assert sorted(re.findall(r"\d[\d.e-]*", said)) == sorted(re.findall(r"\d[\d.e-]*", text))


def test_english_stays_as_it_was_said() -> None:
    assert [Words("en").sentence(text) for text in CHECKS + NOTES] == [*CHECKS, *NOTES]


@pytest.mark.parametrize("pattern", SENTENCES)
def test_every_group_has_a_place(pattern: str) -> None:
    groups = re.compile(pattern).groups
    assert {int(number) for number in re.findall(r"\{(\d)\}", SENTENCES[pattern])} == set(range(groups))
