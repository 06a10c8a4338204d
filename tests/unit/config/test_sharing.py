from collections.abc import Sequence

import pytest
from npuserve.config.sharing import HostPolicy, ResourcePool, SharingOptions, sharing_options


def options(*policies: str, rate_limit: str = "off", resources: Sequence[str] = ()) -> SharingOptions:
    return sharing_options(host_policies=policies, rate_limit=rate_limit, resources=resources)


def test_nothing_is_limited_or_placed_unless_asked() -> None:
    assert options() == SharingOptions(host_policies={}, limits_rate=False, pools=())


def test_settings_of_one_policy_are_collected() -> None:
    found = options("near,numa-node=1", "near,cpu-cores=0-2,8", "far,cpu-cores=5").host_policies
    assert found == {"near": HostPolicy(cores=(0, 1, 2, 8), numa_node=1), "far": HostPolicy(cores=(5,))}


def test_pools_are_of_all_devices_or_of_one() -> None:
    found = options(rate_limit="execution_count", resources=["R:4", "S:0:1"])
    assert found.limits_rate
    assert found.pools == (ResourcePool("R", 4, None), ResourcePool("S", 0, 1))


@pytest.mark.parametrize("text", ["near", "near,numa-node", ",numa-node=1", "near,=1", "near,numa-node="])
def test_a_policy_of_another_form_is_refused_as_by_triton(text: str) -> None:
    expected = f"--host-policy option format is '<policy name>,<setting>=<value>'. Got {text}"
    with pytest.raises(ValueError, match=expected):
        options(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("near,color=1", "--host-policy near has setting 'color', known are numa-node and cpu-cores"),
        ("near,numa-node=x", "--host-policy near,numa-node must be a number, got 'x'"),
        ("near,numa-node=-1", "--host-policy near,numa-node must be a number, got '-1'"),
        ("near,cpu-cores=3-1", "--host-policy near,cpu-cores must be numbers below 1024 or ranges as 0-3,8, got '3-1'"),
        ("near,cpu-cores=0-9999999", "cpu-cores must be numbers below 1024"),
        ("near,cpu-cores=1,,2", "cpu-cores must be numbers below 1024"),
    ],
)
def test_a_setting_that_says_nothing_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(text)


@pytest.mark.parametrize("text", ["R", "R:", "R:x", "R:1:2:3", ":1", "R:-1", "R:1:x", "R:99999999999"])
def test_a_pool_of_another_form_is_refused_as_by_triton(text: str) -> None:
    with pytest.raises(ValueError, match=f"'<resource_name>:<count>'. Got {text}"):
        options(resources=[text])


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ValueError, match="--rate-limit must be one of off, execution_count, got 'some'"):
        options(rate_limit="some")
