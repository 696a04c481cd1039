"""The timeline of Eq. 3 and App. F.1."""

from hypothesis import given
from hypothesis import strategies as st

from tests.events_samples import mlp, residual
from wsgraph.events import EdgeBlock, Event, Learned, NodeBlock, NodeSlice, NodeView, Pattern
from wsgraph.events.schedule import make_schedule


def test_mlp_follows_equation_3():
    expected = [Event("+V", 0, 0), Event("+V", 1, 1), Event("+E", 0, 1)]
    for layer in (2, 3):
        expected += [
            Event("+V", layer, layer),
            Event("+E", layer - 1, layer),
            Event("-V", layer - 2, layer),
            Event("-E", layer - 2, layer),
        ]
    assert list(mlp().events()) == expected


def test_residual_source_is_added_again():
    events = [event for event in residual().events() if event.block == 1 and event.kind.endswith("V")]
    assert events == [Event("+V", 1, 1), Event("-V", 1, 2), Event("+V", 1, 3), Event("-V", 1, 4)]


def test_snapshots_of_an_mlp_are_bipartite():
    stream = mlp()
    for t in (1, 2, 3):
        snapshot = stream.snapshot(t)
        assert [node.id for node in snapshot.node_blocks] == [t - 1, t]
        assert [edge.id for edge in snapshot.edge_blocks] == [t - 1]
    assert [node.id for node in stream.snapshot(0).node_blocks] == [0]


@st.composite
def timelines(draw):
    """Node blocks with rising timestamps and random edges forward, as ``(times, pairs)``."""
    rises = draw(st.lists(st.integers(0, 1), min_size=0, max_size=11))
    times = [0]
    for rise in rises:
        times.append(times[-1] + rise)
    pairs = []
    if len(times) > 1:
        destinations = draw(st.lists(st.integers(1, len(times) - 1), max_size=16))
        pairs = [(draw(st.integers(0, dst - 1)), dst) for dst in destinations]
    return times, pairs


def simulate(times, pairs):
    """What each snapshot must hold, and each timestamp's events as sets, by going through time naively."""
    last = max(times)
    alive = []
    for t in range(last + 1):
        at_t = [pair for pair in pairs if times[pair[1]] == t]
        alive.append({i for i, own in enumerate(times) if own == t} | {end for pair in at_t for end in pair})
    changes = []
    for t in range(last + 1):
        before = alive[t - 1] if t else set()
        ended = {e for e, pair in enumerate(pairs) if times[pair[1]] == t - 1}
        new = {e for e, pair in enumerate(pairs) if times[pair[1]] == t}
        changes.append({"+V": alive[t] - before, "+E": new, "-V": before - alive[t], "-E": ended})
    return alive, changes


def blocks_of(times, pairs):
    nodes = [NodeBlock(i, 1, t) for i, t in enumerate(times)]
    edges = [
        EdgeBlock(
            e,
            NodeView((NodeSlice(src, 0, 1),), 1),
            dst,
            times[dst],
            Pattern.ONE_TO_ONE,
            (1, 1),
            Learned("residual"),
        )
        for e, (src, dst) in enumerate(pairs)
    ]
    return nodes, edges


@given(timelines())
def test_schedule_agrees_with_a_simulation(timeline):
    times, pairs = timeline
    alive, changes = simulate(times, pairs)
    schedule = make_schedule(*blocks_of(times, pairs))
    events = list(schedule.events())
    for t, expected in enumerate(changes):
        got = [event for event in events if event.t == t]
        for kind, blocks in expected.items():
            ids = [event.block for event in got if event.kind == kind]
            assert len(ids) == len(set(ids))
            assert set(ids) == blocks
        assert schedule.nodes_alive(t) == sorted(alive[t])
    assert len(events) == sum(len(blocks) for change in changes for blocks in change.values())


@given(timelines())
def test_events_come_in_an_order_that_can_be_played(timeline):
    times, pairs = timeline
    nodes, edges, order = set(), set(), []
    for event in make_schedule(*blocks_of(times, pairs)).events():
        order.append((event.t, ("+V", "+E", "-V", "-E").index(event.kind) // 2))
        match event.kind:
            case "+V":
                assert event.block not in nodes
                nodes.add(event.block)
            case "+E":
                assert set(pairs[event.block]) <= nodes
                edges.add(event.block)
            case "-V":
                nodes.remove(event.block)
            case "-E":
                edges.remove(event.block)
    assert order == sorted(order)
