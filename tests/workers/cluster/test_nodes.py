"""Which workers a cluster's computers have room for; without Ray."""

from tapestry_backend.workers.cluster.nodes import Place, places_of


def node(name: str, *, alive: bool = True, **resources: float) -> dict:
    """What Ray says about a computer."""
    return {
        "NodeID": name,
        "NodeManagerHostname": f"{name}.studio",
        "NodeManagerAddress": "10.0.0.1",
        "Alive": alive,
        "Resources": {"memory": 1e9, **resources},
    }


def test_each_card_is_a_worker() -> None:
    """However many cores there are beside it."""
    places = places_of([node("a", GPU=2.0, CPU=32.0)], "", 4)
    assert places == {Place("a", "a.studio", slot, 1, 0) for slot in (0, 1)}


def test_without_a_card_some_cores_are() -> None:
    """Fewer where there are not as many."""
    assert places_of([node("a", CPU=9.0)], "", 4) == {
        Place("a", "a.studio", slot, 0, 4) for slot in (0, 1)
    }
    assert places_of([node("a", CPU=2.0)], "", 4) == {Place("a", "a.studio", 0, 0, 2)}
    assert places_of([node("a", CPU=0.0)], "", 4) == frozenset()


def test_a_computer_is_called_as_its_studio_calls_it() -> None:
    """By the name that it was given, else by its host's; Ray gives its address as a name."""
    named, unnamed, bare = node("a", GPU=1.0), node("b", GPU=1.0), node("c", GPU=1.0)
    named["NodeName"], unnamed["NodeName"] = "tower", "10.0.0.1"
    bare["NodeManagerHostname"] = ""
    places = places_of([named, unnamed, bare], "", 4)
    assert {place.name for place in places} == {"tower", "b.studio", "10.0.0.1"}


def test_our_own_computer_and_dead_ones_have_none() -> None:
    """Local workers are on ours."""
    nodes = [node("ours", GPU=1.0), node("dead", alive=False, GPU=1.0), node("b", GPU=1.0)]
    assert {place.node for place in places_of(nodes, "ours", 4)} == {"b"}
