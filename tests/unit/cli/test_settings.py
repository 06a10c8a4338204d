import pytest
from npuserve.cli.settings import backend_settings, cache_bytes


def test_settings_are_kept_by_backend() -> None:
    texts = ["onnxruntime,default-max-batch-size=8", "python,a=b=c", ",x=1", "y=2"]
    assert backend_settings(texts) == {
        "onnxruntime": {"default-max-batch-size": "8"},
        "python": {"a": "b=c"},
        "": {"x": "1", "y": "2"},
    }


@pytest.mark.parametrize("text", ["", "onnxruntime", "onnxruntime,", "a,b,c=1", "a,=1"])
def test_a_setting_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--backend-config must be of the form"):
        backend_settings([text])


def test_the_last_cache_size_counts() -> None:
    assert (cache_bytes([]), cache_bytes(["local,size=10", "local,size=1048576"])) == (0, 1048576)


@pytest.mark.parametrize("text", ["", "local", "redis,host=x", "local,size=-1", "local,size=1m", "local,bytes=1"])
def test_another_cache_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"--cache-config must be of the form local,size=BYTES"):
        cache_bytes([text])
