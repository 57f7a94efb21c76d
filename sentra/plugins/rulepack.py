"""A plugin that is nothing but rules: it blocks on the first strong finding or completed combination."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sentra.findings import Finding, Verdict
from sentra.plugins import Builtin, Context
from sentra.ruleset import Combination, Rule
from sentra.scanned import Scanned


class RulePack:
    """Judges the findings of the rules whose ids begin with its name.

    ``min_count`` gives, for a group of rules, how many distinct values of any of them it takes to block.
    """

    def __init__(
        self,
        builtin: Builtin,
        rules: Iterable[Rule],
        combinations: tuple[Combination, ...] = (),
        min_count: Mapping[str, int] | None = None,
    ):
        self.name, self.reason_code, self.combinations = builtin.name, builtin.reason_code, combinations
        self._nothing = Verdict(self.name)
        rules = tuple(rules)
        self._groups = {rule.id: {rule.id, *rule.group} for rule in rules}
        least = min_count or {}
        self._counted = {
            rule_id: max(sorted(groups), key=lambda group: least.get(group, 1))
            for rule_id, groups in self._groups.items()
        }
        self._least = {rule_id: least.get(group, 1) for rule_id, group in self._counted.items()}
        entries = {entry for combination in combinations for entry in combination.all}
        self._members = {
            entry: tuple(rule_id for rule_id, names in self._groups.items() if entry in names) for entry in entries
        }
        self._companions = frozenset(rule.id for rule in rules if rule.companion)
        self._needed = {
            combination.id: [
                self._members[entry] for entry in combination.all if self._companions.isdisjoint(self._members[entry])
            ]
            for combination in combinations
        }
        self._alone = frozenset(rule.id for rule in rules if rule.strength == "strong" or rule.maturity == "sandbox")

    def findings(self, context: Context) -> list[Finding]:
        """Everything that this plugin's rules found; companions wherever they stand."""
        scanned, request = context.scanned, context.request
        found = scanned.findings(self.name, (request.tool_id, request.tool_name))
        return [*found, *(scanned.companions(self.name) if self._companions else ())]

    def judge(self, context: Context) -> Verdict:
        """Block on the first strong finding in the order of the rules, else on the first complete combination."""
        if not context.scanned.names(self.name):
            return self._nothing
        request = context.request
        noted: list[Finding] = []
        values: dict[str, set[str]] = {}
        for finding in context.scanned.findings(self.name, (request.tool_id, request.tool_name), self._alone):
            if not finding.blocks:
                noted.append(finding)
            elif self._enough(finding, values):
                return self._block(finding, finding.rule_id, finding.reason)
        located: dict[str, list[Finding]] = {}
        fired = context.scanned.fired(self.name) if self.combinations else frozenset()
        for combination in self.combinations:
            if any(fired.isdisjoint(needed) for needed in self._needed[combination.id]):
                continue
            complete = self._complete(combination, context.scanned, located)
            if complete is not None and complete.strength == "strong":
                return self._block(complete, complete.rule_id, complete.reason)
            if complete is not None:
                return self._block(complete, combination.id, combination.reason or combination.title)
        return Verdict(self.name, noted=tuple(noted))

    def _enough(self, finding: Finding, values: dict[str, set[str]]) -> bool:
        least = self._least[finding.rule_id]
        if least <= 1 or not finding.value:  # one without a value tells of too much to look at
            return True
        seen = values.setdefault(self._counted[finding.rule_id], set())
        seen.add(finding.value.casefold())
        return len(seen) >= least

    def _complete(
        self, combination: Combination, scanned: Scanned, located: dict[str, list[Finding]]
    ) -> Finding | None:
        """The first finding of a place that holds one of each entry; else a strong one, which tells of a cap.

        ``located`` keeps what was found of each scanned rule. Companions come last, beside the others' findings.
        """
        entries: dict[str, _Places] = {}
        for entry in sorted(combination.all, key=self._has_companion):
            beside = [finding for place in entries for group in entries[place].values() for finding in group]
            found = list(self._weak(entry, combination.near, scanned, located, beside))
            for finding in found:
                if finding.strength == "strong":
                    return finding
            entries[entry] = _places(found, combination)
            if not entries[entry]:
                return None
        first, *others = (entries[entry] for entry in combination.all)
        return next((finding for place in first for finding in _together(place, first, others, combination.near)), None)

    def _has_companion(self, entry: str) -> bool:
        return not self._companions.isdisjoint(self._members[entry])

    def _weak(
        self, entry: str, near: int, scanned: Scanned, located: dict[str, list[Finding]], beside: list[Finding]
    ) -> Iterator[Finding]:
        for rule_id in self._members[entry]:
            if rule_id in self._companions:
                yield from scanned.beside(rule_id, beside, near)
                continue
            if rule_id not in located:
                located[rule_id] = list(scanned.findings(self.name, ids=(rule_id,)))
            yield from located[rule_id]

    def _block(self, finding: Finding, rule_id: str, reason: str) -> Verdict:
        code = self.reason_code if finding.reason_code is None else finding.reason_code
        return Verdict(self.name, block=True, reason_code=code, reason=reason, rule_id=rule_id, finding=finding)


_Places = dict[str, list[Finding]]


def _places(found: Iterable[Finding], combination: Combination) -> _Places:
    """Findings by the place that a combination must be complete in, in the order in which they stand there."""
    places: _Places = {}
    for finding in sorted((f for f in found if _placed(f, combination.near)), key=_start):
        places.setdefault(finding.span.path if combination.within == "segment" else "", []).append(finding)
    return places


def _together(place: str, first: _Places, others: Sequence[_Places], near: int) -> Iterator[Finding]:
    """Findings of the first entry that have one of each other entry beside them."""
    for finding in first[place]:
        if all(_beside(finding, other.get(place, []), near) for other in others):
            yield finding


def _start(finding: Finding) -> int:
    return finding.span.start


def _placed(finding: Finding, near: int) -> bool:
    """Is the finding's place known well enough? In a long view of a whole text it is anywhere in that text."""
    return not near or finding.span.view is None or finding.span.end - finding.span.start <= 2 * near


def _beside(finding: Finding, others: list[Finding], near: int) -> bool:
    """Does another finding among ``others``, sorted, begin within ``near`` bytes (0: anywhere)?"""
    low = bisect_left(others, finding.span.start - near, key=_start) if near else 0
    high = bisect_right(others, finding.span.start + near, key=_start) if near else len(others)
    return high - low > 1 or (high - low == 1 and others[low] is not finding)
