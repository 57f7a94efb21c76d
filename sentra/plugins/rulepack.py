"""A plugin that is nothing but rules: it blocks on the first strong finding or completed combination."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from sentra.findings import Finding, Verdict
from sentra.plugins import Builtin, Context
from sentra.ruleset import Combination, Rule


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
        self._groups = {rule.id: {rule.id, *rule.group} for rule in rules}
        least = min_count or {}
        self._counted = {
            rule_id: max(sorted(groups), key=lambda group: least.get(group, 1))
            for rule_id, groups in self._groups.items()
        }
        self._least = {rule_id: least.get(group, 1) for rule_id, group in self._counted.items()}

    def findings(self, context: Context) -> list[Finding]:
        """Everything that this plugin's rules found."""
        request = context.request
        return list(context.scanned.findings(self.name, (request.tool_id, request.tool_name)))

    def judge(self, context: Context) -> Verdict:
        """Block on the first strong finding in the order of the rules, else on the first complete combination."""
        request = context.request
        weak: list[Finding] = []
        noted: list[Finding] = []
        values: dict[str, set[str]] = {}
        for finding in context.scanned.findings(self.name, (request.tool_id, request.tool_name)):
            if not finding.blocks:
                noted.append(finding)
            elif finding.strength == "weak":
                weak.append(finding)
            elif self._enough(finding, values):
                return self._block(finding, finding.rule_id, finding.reason)
        for combination in self.combinations:
            complete = self._complete(combination, weak)
            if complete is not None:
                return self._block(complete, combination.id, combination.reason or combination.title)
        return Verdict(self.name, noted=tuple(noted))

    def _enough(self, finding: Finding, values: dict[str, set[str]]) -> bool:
        least = self._least[finding.rule_id]
        if least <= 1:
            return True
        seen = values.setdefault(self._counted[finding.rule_id], set())
        seen.add(finding.value.casefold())
        return len(seen) >= least

    def _complete(self, combination: Combination, weak: list[Finding]) -> Finding | None:
        """The first finding of a place that holds one of each entry, if there is such a place."""
        places: dict[str, list[Finding]] = {}
        for finding in sorted((f for f in weak if _placed(f, combination.near)), key=_start):
            places.setdefault(finding.span.path if combination.within == "segment" else "", []).append(finding)
        for found in places.values():
            first, *others = (self._of(entry, found) for entry in combination.all)
            for finding in first:
                if all(_beside(finding, other, combination.near) for other in others):
                    return finding
        return None

    def _of(self, entry: str, found: list[Finding]) -> list[Finding]:
        return [finding for finding in found if entry in self._groups[finding.rule_id]]

    def _block(self, finding: Finding, rule_id: str, reason: str) -> Verdict:
        code = self.reason_code if finding.reason_code is None else finding.reason_code
        return Verdict(self.name, block=True, reason_code=code, reason=reason, rule_id=rule_id, finding=finding)


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
