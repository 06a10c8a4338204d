import pytest
from npuserve.cli.settings import BackendSetting, backend_settings, cache_bytes, default_max_batch_sizes


def test_a_setting_is_a_backends_or_everyones() -> None:
    assert backend_settings(["python,a=b=c", ",x=1", "y=2"]) == [
        BackendSetting("python", "a", "b=c"),
        BackendSetting("", "x", "1"),
        BackendSetting("", "y", "2"),
    ]


def test_default_batch_sizes_are_found_among_the_settings() -> None:
    settings = backend_settings(["onnxruntime,default-max-batch-size=8", "default-max-batch-size=2", "python,a=b"])
    assert default_max_batch_sizes(settings) == {"onnxruntime": 8, "": 2}
    assert [setting.has_effect for setting in settings] == [True, True, False]


def test_a_default_batch_size_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="--backend-config default-max-batch-size must be 0 or more, got 'many'"):
        default_max_batch_sizes(backend_settings(["onnxruntime,default-max-batch-size=many"]))


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
