"""Which full blocks hold the keys and values of which token prefix."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

BlockTokens = tuple[int, ...]


class Node:
    """One full block, reached by the tokens of all blocks before it and its own."""

    __slots__ = ("block", "children", "parent", "tokens")

    def __init__(self, parent: Node | None, tokens: BlockTokens, block: int) -> None:
        self.parent = parent
        self.tokens = tokens
        self.block = block
        self.children: dict[BlockTokens, Node] = {}


class PrefixTree:
    """A tree with one node per cached block. Tokens are compared, never only their hash.

    Whoever holds a node's block holds those of all its ancestors, and gives them back leaf first. So in the order of
    release a child always comes before its parent, and the longest-idle node never has children: eviction needs no
    search.
    """

    def __init__(self, block_size: int) -> None:
        self.block_size = block_size
        self.root = Node(None, (), -1)
        self.nodes: dict[int, Node] = {}
        """Every node by its block."""
        self.idle: OrderedDict[int, Node] = OrderedDict()
        """Nodes whose block nobody holds, longest idle first."""

    def walk(self, node: Node, tokens: Sequence[int], start: int, end: int) -> Iterator[Node]:
        """Nodes below `node` along tokens[start:end], whole blocks only. Does not modify the tree."""
        size = self.block_size
        while start + size <= end:
            child = node.children.get(tuple(tokens[start : start + size]))
            if child is None:
                return
            yield child
            node, start = child, start + size

    def insert(self, parent: Node, tokens: BlockTokens, block: int) -> Node:
        """The node for `tokens` below `parent`: the one that is there, or a new one that holds `block`."""
        child = parent.children.get(tokens)
        if child is None:
            child = Node(parent, tokens, block)
            parent.children[tokens] = child
            self.nodes[block] = child
        return child

    def rest(self, node: Node) -> None:
        """The last holder of the node's block is gone."""
        self.idle[node.block] = node

    def wake(self, node: Node) -> None:
        """The node's block has a holder again."""
        self.idle.pop(node.block, None)

    def evict(self) -> int:
        """Forget the longest-idle node and return its block. KeyError when none is idle: callers look first."""
        block, node = self.idle.popitem(last=False)
        if node.children or node.parent is None:
            raise AssertionError("an idle node was evicted before its children")
        del node.parent.children[node.tokens]
        del self.nodes[block]
        node.parent = None
        return block

    def check_integrity(self, references: Sequence[int]) -> None:
        """AssertionError unless links, blocks, holders and the order of eviction are consistent."""
        order = {block: position for position, block in enumerate(self.idle)}
        reached = 0
        stack = [self.root]
        while stack:
            node = stack.pop()
            for tokens, child in node.children.items():
                reached += 1
                stack.append(child)
                _require(child.parent is node and child.tokens == tokens, "a node is linked wrongly")
                _require(len(tokens) == self.block_size, "a node is not a whole block")
                _require(self.nodes.get(child.block) is child, "a node's block belongs to another node")
                _require((references[child.block] == 0) == (child.block in order), "an idle node is held, or reversed")
                if node is not self.root:
                    _require(references[node.block] >= references[child.block], "a child has more holders")
                    if child.block in order and node.block in order:
                        _require(order[child.block] < order[node.block], "a parent would be evicted first")
        _require(reached == len(self.nodes), "a node can't be reached")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
