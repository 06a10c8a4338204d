import pytest
from google.protobuf import text_format
from npuserve._proto import POOL
from npuserve._proto.model_config_pb2 import ModelConfig
from npuserve.config.placement import InstancePlacement, ResourceNeed, placements
from npuserve.core.errors import ServeError


def config(groups: str) -> ModelConfig:
    parsed = ModelConfig()
    text_format.Parse(f'name: "m" {groups}', parsed, descriptor_pool=POOL)
    return parsed


def test_each_instance_has_the_settings_of_its_group() -> None:
    groups = """instance_group [
      { kind: KIND_GPU count: 2 gpus: 1 host_policy: "near" rate_limiter {
        resources [ { name: "R" count: 2 }, { name: "S" global: true count: 1 }, { name: "T" } ]
        priority: 3 } },
      { kind: KIND_GPU count: 1 gpus: 0 } ]"""
    near = InstancePlacement(
        device=1,
        host_policy="near",
        resources=(ResourceNeed("R", 2, is_global=False), ResourceNeed("S", 1, is_global=True)),
        priority=3,
    )
    found = placements(config(groups), device_count=2, on_cpu=False)
    assert found == (near, near, InstancePlacement(device=0))


def test_on_the_cpu_a_group_has_as_many_instances_as_it_counts() -> None:
    assert placements(config("instance_group { count: 3 }"), device_count=0, on_cpu=True) == 3 * (
        InstancePlacement(device=0),
    )


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ('{ name: "R" count: 1 }, { name: "R" count: 2 }', "needs resource 'R' twice"),
        ("{ count: 1 }", "needs a resource without a name"),
    ],
)
def test_contradictory_resources_are_refused(resources: str, message: str) -> None:
    groups = f'instance_group {{ name: "g" count: 1 rate_limiter {{ resources [ {resources} ] }} }}'
    with pytest.raises(ServeError, match=f"instance group g of model m {message}"):
        placements(config(groups), device_count=0, on_cpu=True)


def test_a_model_that_needs_devices_says_so_where_there_are_none() -> None:
    with pytest.raises(ServeError, match="model 'm' needs an NPU but none is available"):
        placements(config(""), device_count=0, on_cpu=False)
