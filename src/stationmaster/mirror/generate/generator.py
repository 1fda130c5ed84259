"""The one entry: generate a source on a volume from generations held there. Decides the order, and what is unchanged.

Inputs are found, the recipe is compared with what the newest generation was made of, a draft is written out of sight,
then staged and published as any sync is: the manifest names every package, so the pool keeps them.
"""

from __future__ import annotations

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import (
    catalog,
    failures,
    fileref,
    ledger,
    lock,
    manifest,
    outcome,
    publish,
    remembered,
    stage,
)
from stationmaster.mirror import volume as volumes
from stationmaster.mirror.generate import draft, listing, recipe, record, repositories, signing, staging
from stationmaster.model import errors


class Generator:
    """Generates sources; holds no state between two runs."""

    def __init__(self, files: host_files.Files, clock: clocks.Clock) -> None:
        self._files = files
        self._clock = clock

    def generate(
        self,
        volume: volumes.Volume,
        wanted: recipe.Recipe,
        signer: signing.Signer,
        *,
        progress: outcome.Listener = outcome.ignore_progress,
        publish_alone: bool = True,
        again: bool = False,
    ) -> outcome.SyncOutcome:
        """Make the source as the recipe says; never raises for recipe or volume. Nothing is downloaded.

        ``publish_alone``: also switch ``published/<source>`` to it; a station leaves that out. ``again``: although it
        is made already, since it was damaged; a frozen version then comes from the generations it was made of.
        """
        run = _Run(self._files, self._clock, volume, wanted, signer)
        run.is_again = again
        try:
            with failures.translated_os_errors(volume.root):
                return run.generate(progress, is_alone=publish_alone)
        except errors.StationmasterError as exc:
            return run.failed(exc)


class _Run:
    """One run."""

    def __init__(
        self,
        files: host_files.Files,
        clock: clocks.Clock,
        volume: volumes.Volume,
        wanted: recipe.Recipe,
        signer: signing.Signer,
    ) -> None:
        self._files = files
        self._clock = clock
        self._volume = volume
        self._wanted = wanted
        self._name = wanted.name
        self._signer = signer
        self._warnings: tuple[str, ...] = ()
        self.is_again = False

    def generate(self, progress: outcome.Listener, *, is_alone: bool) -> outcome.SyncOutcome:
        self._volume.require()
        held = self._made_already()
        if held is not None and self._is_shown(held, is_alone=is_alone):
            return self._outcome(outcome.State.UNCHANGED, held)
        watch = lock.Watch(self._clock)
        with lock.SourceLock(self._files, self._volume.control, self._name, watch=watch) as mine:
            lock.require_no_cleaning(self._volume.control, watch)
            held = self._made_already()  # by another run meanwhile, or by one that died before it showed it
            staged = self._stage(progress) if held is None else self._held(held)
            progress(outcome.Progress(outcome.Phase.PUBLISH))
            mine.require()
            publisher = publish.Publisher(self._files, self._volume, self._clock, self._name)
            publisher.publish(staged.directory, staged.header, alone=is_alone)
            self._files.remove_tree(self._volume.incoming(self._name))
        return self._outcome(outcome.State.SYNCED, staged.header)

    def failed(self, error: errors.StationmasterError) -> outcome.SyncOutcome:
        """The outcome of a failure: what is held stays as it was."""
        try:
            former = catalog.newest_header(self._volume, self._name)
        except OSError:
            former = None
        return self._outcome(outcome.State.FAILED, former, error)

    def _made_already(self) -> manifest.Header | None:
        """The generation that the recipe asks for, if it is held: the frozen one, or one made of the same.

        ConflictError when the name is taken by something else.
        """
        former = catalog.newest_header(self._volume, self._name)
        if former is None:
            return None
        made = record.read_record(self._volume, self._name, former.generation)
        if made is None:
            if remembered.addresses_of(self._volume, self._name):
                raise errors.ConflictError(
                    f"{self._name} is mirrored from an upstream on this volume.",
                    hint="Give the generated source a name of its own.",
                )
            return None
        if made.recipe.frozen:
            self._require_same_version(made.recipe)
            self._wanted = msgspec.structs.replace(self._wanted, inputs=made.inputs)
            return None if self.is_again else former
        is_same = not self.is_again and made.says_the_same(self._record(self._inputs()))
        return former if is_same else None

    def _held(self, header: manifest.Header) -> stage.Staged:
        return stage.Staged(self._volume.generation(self._name, header.generation), header)

    def _is_shown(self, header: manifest.Header, *, is_alone: bool) -> bool:
        return not is_alone or catalog.published_generation(self._volume, self._name) == header.generation

    def _require_same_version(self, made: recipe.Recipe) -> None:
        """A frozen version stays what it is, whatever upstream does, and says so when something else is wanted."""
        wanted = self._wanted
        is_same_choice = made.frozen == wanted.frozen and made.choice == wanted.choice
        if not is_same_choice or [one.name for one in made.inputs] != [one.name for one in wanted.inputs]:
            raise errors.ConflictError(
                f"{self._name} is frozen as version {made.frozen}, and stays what it is.",
                hint="Give another version a name of its own.",
                code="VersionFrozen",
            )

    def _stage(self, progress: outcome.Listener) -> stage.Staged:
        progress(outcome.Progress(outcome.Phase.METADATA))
        inputs = self._inputs()
        self._require_room(inputs)
        former = catalog.newest_header(self._volume, self._name)
        choosing = repositories.choose(inputs, self._wanted)
        place = draft.make_place(self._volume, self._files, self._name)
        order = draft.Order(self._files, place, self._date(inputs, former))
        made = choosing.write(order, self._signer)
        self._warnings = (*choosing.chosen.warnings, *made.warnings)
        held = catalog.find_header(self._volume, self._name, made.root.generation)
        if held is not None:
            return self._held(held)
        staged = staging.Stager(self._files, self._volume, self._name, made).stage()
        record.write_record(self._files, staged.directory, self._record(inputs))
        return staged

    def _require_room(self, inputs: tuple[draft.Input, ...]) -> None:
        """WouldNotFitError unless as much metadata as the inputs have leaves the reserve; packages cost nothing."""
        size = 0
        for one in inputs:
            entries = manifest.read_entries(self._volume.manifest(one.name, one.header.generation))
            size += sum(entry.s for entry in entries if entry.k == fileref.Kind.METADATA.value)
        reserve = outcome.SyncPolicy().reserve_bytes
        asked = ledger.Ledger(0, 2 * size, 0, self._volume.space().available_bytes, 0, reserve)  # as gzip packs less
        if asked.short_bytes:
            raise ledger.refusal(self._volume, asked)

    def _date(self, inputs: tuple[draft.Input, ...], former: manifest.Header | None) -> int:
        """When the result was made, equal on all volumes: the inputs' time or the choice's, whichever is later.

        It rises with each change: clients keep what is not newer than theirs (apt), and web servers make the ETag
        from the time.
        """
        made_at = max(self._wanted.chosen_at, *(one.header.timestamp for one in inputs))
        return made_at if former is None or made_at > former.timestamp else former.timestamp + 1

    def _inputs(self) -> tuple[draft.Input, ...]:
        return tuple(listing.find_input(self._volume, one, number) for number, one in enumerate(self._wanted.inputs))

    def _record(self, inputs: tuple[draft.Input, ...]) -> record.Record:
        return record.Record(
            generator=record.GENERATOR,
            recipe=self._wanted,
            inputs=tuple(recipe.Input(one.name, one.header.generation) for one in inputs),
            key=self._signer.fingerprint,
        )

    def _outcome(
        self,
        state: outcome.State,
        header: manifest.Header | None,
        error: errors.StationmasterError | None = None,
    ) -> outcome.SyncOutcome:
        return outcome.SyncOutcome(
            state=state,
            generation=header.generation if header else None,
            packages=header.packages if header else 0,
            bytes_downloaded=0,
            requests=0,
            error=error,
            warnings=self._warnings,
        )
