import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from npuserve.migrate.errors import PlanError
from npuserve.migrate.sample import counted
from npuserve.migrate.tokenized import read_texts
from tokenizers import Tokenizer, models, pre_tokenizers, processors


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """One token a word, between [CLS] and [SEP]; pads to 9, as files of tokenizers often do."""
    made = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "?": 2}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    made.enable_padding(length=9)
    made.enable_truncation(6)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.mark.parametrize(
    ("longest", "lengths"), [(None, [3, 4, 6]), (512, [3, 4, 6]), (4, [3, 4, 4])], ids=["own", "longer", "shorter"]
)
def test_texts_count_their_tokens_unpadded_and_cut(
    tokenizer: Path, longest: int | None, lengths: Sequence[int]
) -> None:
    texts = ["one\n", "\n", "one two\n", "one two three four five six\n"]
    assert read_texts(texts, tokenizer, longest) == counted(lengths)


def test_many_texts_are_counted(tokenizer: Path) -> None:
    assert read_texts(["a b"] * 3000, tokenizer).rows == (3000,)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{}")
    for name in ("t.json", "absent.json"):
        with pytest.raises(PlanError, match=f"--tokenizer: cannot read .*{name}: "):
            read_texts(["a"], tmp_path / name)


def test_the_missing_package_is_named(tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PlanError, match=r"--texts needs the package tokenizers: pip install 'npuserve\[plan\]'"):
        read_texts(["a"], tokenizer)
