"""What is allowed to be seen, whatever people do and however controllers end. It is asked after the fact, of
every version that Secrets and SesSmtpCredentials ever had.

- A source is written by people only.
- What a controller writes into a target follows from one version of the spec and one version of the source,
  both of which were there before it; keys besides hold what a person wrote there by hand.
- The versions it follows from never go back, for one credential. There is no fencing: the write of a
  controller that was paused, or cut off, may arrive late, and is put right by the next.
- A Secret that a person made under a target's name is not touched.
- A target goes only by a person's hand, or after its credential.
- Ready=True says the truth: the version of the target that status names follows from the version of the
  source and of the spec that it names.
- In the end, status says of each credential that its target is what it has to be, or why not.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from harness import MANAGER, condition, data_of
from history import Version
from oracle import Key, additional_region, expand, format_data, template_values
from targets import MANAGED_BY, OWNER_UID

from kube import Object

Place = tuple[str, str]  # namespace and name


@dataclass(frozen=True)
class Content:
    """What a source says, by whoever wrote it."""

    key: Key
    region: str = ""
    refused: str = ""  # the reason, when it is nothing to derive from


@dataclass
class Deeds:
    """What people did, and when a controller may have been late."""

    sources: dict[int, Content] = field(default_factory=dict)  # by revision
    writes: set[int] = field(default_factory=set)  # revisions of what people wrote
    deleted: set[str] = field(default_factory=set)  # uids of what they deleted
    values: dict[Place, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))  # by hand
    foreign: set[str] = field(default_factory=set)  # uids of Secrets of theirs under a target's name
    late: list[tuple[float, float]] = field(default_factory=list)  # when old writes may arrive


def hindrances(spec: Object, content: Content | None) -> set[str]:
    """Each of them is a reason for which nothing is written."""
    if content is None:
        return {"SourceNotFound"}
    found = {content.refused} - {""}
    if not spec.get("region") and not content.region:
        found.add("RegionMissing")
    regions = {spec.get("region") or content.region, *spec.get("additionalRegions", [])}
    for template in spec.get("target", {}).get("data", {}).values():
        if set(re.findall(r"@([a-z0-9-]+)", template)) - regions:
            found.add("TemplateInvalid")
    return found


@cache
def derived(spec_text: str, content: Content) -> dict[str, str] | None:
    """The data of a target, but for the login before; None when there is nothing to write."""
    spec = json.loads(spec_text)
    if spec.get("suspend") or hindrances(spec, content):
        return None
    additional, target = spec.get("additionalRegions", []), spec.get("target", {})
    region, kind = spec.get("region") or content.region, target.get("format", "Default")
    values = template_values(content.key, region, *additional)
    data = format_data(kind, values)
    if kind == "Default":
        for name in additional:
            data |= additional_region(content.key, name)
    return data | {name: expand(text, values) for name, text in target.get("data", {}).items()}


class Rules:
    def __init__(self, versions: Iterable[Version], deeds: Deeds):
        self.versions, self.deeds = list(versions), deeds
        self.specs: dict[str, dict[int, tuple[int, str]]] = defaultdict(dict)  # uid: generation: since, spec
        self.names: dict[str, Place] = {}  # of credentials, by uid
        self.sources: dict[Place, dict[int, Content]] = defaultdict(dict)
        self.by_key: dict[str, list[tuple[Place, int]]] = defaultdict(list)  # where a key stood, by its id
        self.past: dict[Place, list[str]] = defaultdict(list)  # for people
        self.targets: dict[tuple[str, int], Version] = {}
        self.written: dict[str, set[str]] = defaultdict(set)  # uids of Secrets, by that of their credential
        self.named: dict[str, set[str]] = defaultdict(set)  # the same, of those that a status named
        self.held: dict[str, list[dict[str, str]]] = defaultdict(list)  # what targets held, by their uid
        self.ended: dict[str, int] = {}  # uid: when a credential went, or began to
        self.reached: dict[str, set[tuple[int, int]]] = {}  # uid: versions of spec and source it may be at
        self.by_hand: set[str] = set()  # uids of Secrets that a person wrote last
        self.checked = self.repairs = self.late_writes = 0

    def violations(self) -> Iterator[str]:
        for version in self.versions:
            place = version.namespace, version.name
            if version.kind == "SesSmtpCredential":
                found = self._credential(version, place)
            elif version.name.startswith("source-"):
                found = self._source(version, place)
            else:
                found = self._target(version, place)
            self.past[place].append(self._brief(version))
            yield from (
                f"revision {version.revision}, {version.kind} {'/'.join(place)}: {what}; before:\n    "
                + "\n    ".join(self.past[place][-12:])
                for what in found
            )

    def _brief(self, version: Version) -> str:
        metadata = version.body["metadata"]
        by = "a person" if version.revision in self.deeds.writes else "a controller"
        what = f"{version.revision} {version.kind} {version.uid[:8]}"
        if version.deleted:
            return f"{what} deleted"
        if version.kind == "SesSmtpCredential":
            status = version.body.get("status", {})
            named = {name: status.get(name, {}).get("resourceVersion") for name in ("source", "target")}
            ready = condition(version.body, "Ready")
            return (
                f"{what} generation {metadata['generation']}, observed {status.get('observedGeneration')}, "
                f"Ready {ready.get('status')} {ready.get('reason')}, of {named}"
            )
        return f"{what} written by {by} for {metadata.get('labels', {}).get(OWNER_UID, 'nobody')[:8]}"

    # -- one version of something

    def _source(self, version: Version, place: Place) -> Iterator[str]:
        if version.deleted:
            if version.uid not in self.deeds.deleted:
                yield "a source was deleted, and not by a person"
        elif content := self.deeds.sources.get(version.revision):
            self.sources[place][version.revision] = content
            self.by_key[content.key.id].append((place, version.revision))
        else:
            yield "a source was written, and not by a person"

    def _credential(self, version: Version, place: Place) -> Iterator[str]:
        metadata, spec = version.body["metadata"], version.body["spec"]
        self.names[version.uid] = place
        self.specs[version.uid].setdefault(
            metadata["generation"], (version.revision, json.dumps(spec, sort_keys=True))
        )
        if target := version.body.get("status", {}).get("target"):
            self.named[version.uid].add(target["uid"])
        if version.deleted or "deletionTimestamp" in metadata:
            self.ended.setdefault(version.uid, version.revision)
        else:
            yield from self._claims(version)

    def _claims(self, version: Version) -> Iterator[str]:
        """Ready=True, and what it says."""
        status, ready = version.body.get("status", {}), condition(version.body, "Ready")
        if ready.get("status") != "True" or ready["observedGeneration"] != status["observedGeneration"]:
            return
        _, spec = self.specs[version.uid].get(status["observedGeneration"], (0, ""))
        if not spec:
            yield f"status is of generation {status['observedGeneration']}, which never was"
            return
        if json.loads(spec).get("suspend"):
            return  # Ready keeps what it said before
        if "source" not in status or "target" not in status:
            yield f"Ready, and status does not say of what: {sorted(status)}"
            return
        place = version.namespace, json.loads(spec)["source"]["secretName"]
        content = self.sources[place].get(int(status["source"]["resourceVersion"]))
        target = self.targets.get((status["target"]["uid"], int(status["target"]["resourceVersion"])))
        if content is None:
            yield f"Ready names a version of {'/'.join(place)} that never was: {status['source']}"
        elif target is None:
            yield f"Ready names a version of the target that never was: {status['target']}"
        elif (expected := derived(spec, content)) is None:
            yield f"Ready, although {hindrances(json.loads(spec), content)}"
        elif not expected.items() <= data_of(target.body).items():
            yield f"Ready, but the target of that version differs in {differences(expected, target)}"

    def _target(self, version: Version, place: Place) -> Iterator[str]:
        uid, metadata = version.uid, version.body["metadata"]
        owner = metadata.get("labels", {}).get(OWNER_UID, "")
        if version.deleted:
            owners = {one["uid"] for one in metadata.get("ownerReferences", [])}
            if uid not in self.deeds.deleted and not owners & self.ended.keys():
                yield "a target went without anybody's doing"
            return
        self.targets[uid, version.revision] = version
        if version.revision in self.deeds.writes:
            self.by_hand.add(uid)
            return
        if uid in self.deeds.foreign:
            yield "a Secret of somebody else was written"
        if owner not in self.specs:
            yield f"written for {owner or 'no credential'}, which never was"
            return
        self.checked += 1
        self.repairs += uid in self.by_hand
        self.by_hand.discard(uid)
        self.written[owner].add(uid)
        yield from self._derivation(version, place, owner)

    def _derivation(self, version: Version, place: Place, owner: str) -> Iterator[str]:
        """Of what a controller wrote."""
        data = data_of(version.body)
        candidates = set(self._candidates(version, owner, data, self.deeds.values[place]))
        if not candidates:
            yield f"no version of the source gives what was written: {self._closest(owner, version, data)}"
            return
        at = self.reached.get(owner, {(0, 0)})
        onward = {
            (spec, source)
            for spec, source in candidates
            if any(spec >= old_spec and source >= old_source for old_spec, old_source in at)
        }
        if not onward and any(began <= version.seen <= ended for began, ended in self.deeds.late):
            self.late_writes += 1
            onward = candidates
        if not onward:
            yield f"from {sorted(at)} (generation, revision of the source) back to {sorted(candidates)}"
        self.reached[owner] = onward or candidates

    def _candidates(
        self, version: Version, owner: str, data: dict[str, str], by_hand: set[tuple[str, str]]
    ) -> Iterator[tuple[int, int]]:
        """The versions of spec and source that the data may follow from."""
        previous = {name for name in data if name.startswith("previous-")}
        for key_id in set(
            re.findall("AKIA[A-Z2-7]{16}", json.dumps([data[k] for k in set(data) - previous]))
        ):
            for generation, (since, spec_text) in self.specs[owner].items():
                spec = json.loads(spec_text)
                for place, source in self.by_key[key_id]:
                    if (version.namespace, spec["source"]["secretName"]) != place:
                        continue
                    expected = derived(spec_text, self.sources[place][source])
                    if expected is None or since >= version.revision:
                        continue
                    names = {name for name, _ in data.items() - expected.items() - by_hand}
                    if not expected.items() <= data.items() or not names <= previous:
                        continue
                    if names and not ("keepPreviousFor" in spec and self._was_login(version, data)):
                        continue
                    self.held[version.uid].append(expected)
                    yield generation, source

    def _was_login(self, version: Version, data: dict[str, str]) -> bool:
        """What stands as the login before once was the login, all of it at one time."""
        login = {
            name.removeprefix("previous-"): value
            for name, value in data.items()
            if name.startswith("previous-")
        }
        return any(login.items() <= held.items() for held in self.held[version.uid])

    def _closest(self, owner: str, version: Version, data: dict[str, str]) -> str:
        """For people: against the newest spec and source."""
        _, spec = list(self.specs[owner].values())[-1]
        place = version.namespace, json.loads(spec)["source"]["secretName"]
        for source, content in reversed(self.sources[place].items()):
            if expected := derived(spec, content):
                return f"next to {source} it differs in {differences(expected, version)}, keys {sorted(data)}"
        return f"there was no good source; keys {sorted(data)}"

    # -- the end

    def shortcomings(self, secrets: list[Object], credentials: list[Object]) -> Iterator[str]:
        """What still differs from how it has to be, given all that is there now."""
        there = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in secrets}
        living = {one["metadata"]["uid"] for one in credentials}
        for credential in credentials:
            place = credential["metadata"]["namespace"], credential["metadata"]["name"]
            yield from (f"{'/'.join(place)}: {what}" for what in self._state(credential, place, there))
        for place, secret in there.items():
            owners = {one["uid"] for one in secret["metadata"].get("ownerReferences", [])}
            if owners and not owners <= living:
                yield f"{'/'.join(place)}: its credential is gone, and it is still there"

    def _state(self, credential: Object, place: Place, there: dict[Place, Object]) -> Iterator[str]:
        spec, status = credential["spec"], credential["status"]
        uid, generation = credential["metadata"]["uid"], credential["metadata"]["generation"]
        ready, target = condition(credential, "Ready"), there.get(place)
        if status["observedGeneration"] != generation:
            yield f"generation {generation} was not looked at"
        elif spec.get("suspend"):
            if condition(credential, "Suspended").get("status") != "True":
                yield "it does not say that it is suspended"
        elif ready.get("observedGeneration") != generation:
            yield f"Ready is not of generation {generation}"
        else:
            source = there.get((place[0], spec["source"]["secretName"]))
            at = int(source["metadata"]["resourceVersion"]) if source else 0
            content = self.deeds.sources[at] if source else None
            reasons = hindrances(spec, content)
            if target and not self._is_known(target["metadata"], uid):
                reasons.add("TargetConflict")  # or it is still to be taken back
            elif not reasons:
                expected = derived(json.dumps(spec, sort_keys=True), content)
                data = data_of(target) if target else {}
                if not expected.items() <= data.items():
                    yield f"the target differs in {sorted(k for k in expected if data.get(k) != expected[k])}"
                if target and target["metadata"].get("labels", {}).get(MANAGED_BY) != MANAGER:
                    yield "the target has lost its labels"
                reasons = {"Synced"}
            if ready["reason"] not in reasons:
                yield f"Ready says {ready['reason']}, not {' or '.join(sorted(reasons))}"
            elif ready["reason"] == "Synced" and int(status["source"]["resourceVersion"]) != at:
                yield f"status names source {status['source']['resourceVersion']}, which is {at} now"

    def _is_known(self, target: Object, uid: str) -> bool:
        """That it is this credential's can be told, by what it carries or by what its status has named. It
        cannot when all marks were removed before a status was written."""
        marks = {target.get("labels", {}).get(OWNER_UID)}
        marks |= {one["uid"] for one in target.get("ownerReferences", [])}
        return target["uid"] in self.written[uid] and (uid in marks or target["uid"] in self.named[uid])


def differences(expected: dict[str, str], version: Version) -> list[str]:
    """Names of keys, without values."""
    data = data_of(version.body)
    return sorted(name for name in expected if data.get(name) != expected[name])
