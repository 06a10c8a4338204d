import pytest
from npuserve.config.restricted import Key, parse_restrictions


def test_groups_share_a_key() -> None:
    restrictions = parse_restrictions("--flag", ["health,metadata:Admin=secret", "trace:t=x=y"], noun="api")
    assert restrictions.keys == {
        "health": Key("admin", "secret"),
        "metadata": Key("admin", "secret"),
        "trace": Key("t", "x=y"),
    }


def test_nothing_is_restricted_without_a_flag() -> None:
    assert not parse_restrictions("--flag", [], noun="api")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["health"], "--flag must be of the form GROUP[,GROUP...]:KEY=VALUE, got 'health'"),
        (["health:=v"], "--flag must be of the form GROUP[,GROUP...]:KEY=VALUE, got 'health:=v'"),
        (["x:k=v"], "--flag: unknown restricted api 'x', expected one of health, "),
        (["health:k=v", "health:k=v"], "--flag: api 'health' can not be specified in multiple config groups"),
    ],
)
def test_a_wrong_restriction_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_restrictions("--flag", texts, noun="api")
    assert str(caught.value).startswith(message)
