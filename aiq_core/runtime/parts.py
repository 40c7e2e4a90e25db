"""Where a recorded network may be cut into parts, and whose memory its tensors lie in."""

from torch import fx

from aiq_core.runtime.operators import shares, writes
from aiq_core.runtime.trace import Trace


def in_order(traced: Trace) -> list[fx.Node]:
    """What is run; the network's own tensors are at hand, unless something is written into them."""
    return [node for node in traced.nodes.nodes if node.op != "get_attr" or is_overwritten(node)]


def is_overwritten(node: fx.Node) -> bool:
    """Whether something writes into a node's memory, perhaps through a view."""
    return any(
        user.op == "call_function"
        and (
            (writes(user) and user.args[0] is node) or (shares(user) and user.args[0] is node and is_overwritten(user))
        )
        for user in node.users
    )


def is_shared(node: fx.Node, ends: set[fx.Node]) -> bool:
    """Whether what a node gives lies in memory that others read too, or that is kept between parts."""
    while shares(node):
        source = node.all_input_nodes[0]
        if len(source.users) > 1 or source in ends or source.op != "call_function":
            return True
        node = source
    return False


def lies_in(node: fx.Node, wholes: set[fx.Node]) -> bool:
    """Whether a node gives a part of one of these, in its memory."""
    while shares(node):
        node = node.all_input_nodes[0]
        if node in wholes:
            return True
    return False


WIDE = 2
"""Times as large as tensors shortly before and after: such a tensor is no place to cut, for keeping it costs memory."""
NEAR = 2
"""How many possible cuts away is shortly."""


def cuts_of(traced: Trace, stored: dict[fx.Node, int]) -> list[int]:
    """Where a part begins: after stored tensors that are all that goes on and that nothing overwrites."""
    nodes = in_order(traced)
    last = {source: position for position, node in enumerate(nodes) for source in node.all_input_nodes}
    cuts = []
    alive: set[fx.Node] = set()
    for position, node in enumerate(nodes):
        alive = {other for other in {*alive, node} if last.get(other, -1) > position}
        # Only where the first axis is the images', as their number tells a part how to run.
        is_place = node in stored and node.op != "placeholder" and node.meta["value"].shape[:1] == (1,)
        if alive == {node} and is_place and not is_overwritten(node):
            cuts.append(position)
    sizes = [nodes[position].meta["value"].numel() for position in cuts]
    kept = [
        position
        for index, position in enumerate(cuts)
        if not (
            any(WIDE * size < sizes[index] for size in sizes[max(0, index - NEAR) : index])
            and any(WIDE * size < sizes[index] for size in sizes[index + 1 : index + 1 + NEAR])
        )
    ]
    return [position + 1 for position in kept if position + 1 < len(nodes)]
