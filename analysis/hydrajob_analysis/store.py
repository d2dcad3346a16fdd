"""A store, or several, as pandas DataFrames.

Everything comes from the file: columns, units, long names and what stands for a missing value. Nothing is guessed; a
file that does not follow the schema is refused with a StoreError.
"""

import glob
import json
import os
from functools import cached_property

import h5py
import numpy as np
import pandas as pd

from .concurrency import concurrent_runs
from .digest import check_digest
from .schema import CONDITION_COLUMNS, FORMAT, RUN_COLUMNS, SAMPLE_COLUMNS, SCHEMA_VERSION, STATUSES, StoreError


def load(paths):
    """Reads one store (a path) or several (an iterable of paths) into one Store; one that is named twice, or its copy,
    once. Throws StoreError."""
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    files, repeated = [], []
    for file in map(_StoreFile, paths):
        first = next((other for other in files if file.same_as(other)), None)
        if first is None:
            files.append(file)
        else:
            repeated.append(f"{file.path}: the same store as {first.path}, taken once")
    if not files:
        raise StoreError("no store was named")
    return Store(files, repeated)


class Store:
    """What one or several stores hold.

    runs          one row a run, indexed 0..R-1: the columns of /runs as in the file, `store`, the path, `machine`, the
                  kind of machine, from the environment: processor and threads a rank (None where it does not say), and
                  `concurrent`, how many other runs of the same environment overlapped it in time;
                  `.attrs["units"]` and `.attrs["long_name"]` map a column to its unit and its meaning
    samples       one row a sample of a rank: store, run (index into `runs`), run_id, phase, value, rank, iteration, step,
                  warmup, sm_clock_mhz, throttle_reasons, power_w (missing where the rank's device did not tell);
                  `.attrs["units"]` maps a phase to the unit of its values. Read when first asked for.
    environments  one row an environment: store, text, and the text's JSON object flattened ("env.cpu.model")
    configs       one row a configuration: store, text

    waiting       a line for each store whose sweep is under way or was interrupted: what is not in the file yet
    repeated      a line for each store that was named again and is not in the tables again

    `runs.environment` and `runs.config` are indices into `environments` and `configs`.
    """

    def __init__(self, files, repeated=()):
        self._files = files
        self.repeated = list(repeated)
        self.paths = [file.path for file in files]
        self.waiting = [line for line in (file.waiting() for file in files) if line]
        self.environments = _concatenate([file.texts("environments") for file in files])
        self.environments = _flatten_environments(self.environments)
        self.configs = _concatenate([file.texts("configs") for file in files])
        self.runs = self._load_runs()
        machines = [_machine(row) for row in self.environments.to_dict("records")]
        self.runs["machine"] = pd.Series([machines[i] for i in self.runs["environment"]], index=self.runs.index, dtype=object)
        self.runs["concurrent"] = concurrent_runs(self.runs)

    def _load_runs(self):
        tables = [file.runs() for file in self._files]
        first = {"run": 0, "environment": 0, "config": 0}
        for file, table in zip(self._files, tables):
            for column in first:
                table[column] += first[column]
            first["run"] += len(table)
            first["environment"] += file.text_count("environments")
            first["config"] += file.text_count("configs")
        return _concatenate(tables)

    @cached_property
    def tells_conditions(self):
        """Whether any sample has a condition of its device: without reading the samples."""
        return any(file.tells_conditions() for file in self._files)

    @cached_property
    def samples(self):
        tables, units, first_run = [], {}, 0
        for file in self._files:
            n_runs = file.run_count()
            for phase, unit, table in file.samples(n_runs):
                if units.setdefault(phase, unit) != unit:
                    raise StoreError(f"{file.path}: /samples/{phase}/value is in {unit!r}, in another store in "
                                     f"{units[phase]!r}")
                table["run"] += first_run
                tables.append(table)
            first_run += n_runs
        columns = ["store", "run", "run_id", "phase", *(c for c in SAMPLE_COLUMNS if c != "run"), *CONDITION_COLUMNS]
        if not tables:
            return pd.DataFrame(columns=columns)
        samples = pd.concat(tables, ignore_index=True)
        for column, dtype in CONDITION_COLUMNS.items():
            if column not in samples:
                samples[column] = pd.Series(pd.NA if dtype == "Int64" else np.nan, index=samples.index, dtype=dtype)
        samples["store"] = self.runs["store"].to_numpy()[samples["run"]]
        samples["run_id"] = self.runs["run_id"].to_numpy()[samples["run"]]
        samples = samples[columns]
        samples.attrs["units"] = units
        return samples


class _StoreFile:
    """One HDF5 file of the schema. Each method opens it anew: nothing stays open, a writer may replace it meanwhile."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self._digest = None
        if os.path.exists(self.path):
            if not os.path.isfile(self.path):
                raise StoreError(f"{self.path}: is no regular file, expected a store")
            self._digest = check_digest(self.path)
        with self._open() as file:
            _check_format(file, self.path)
            self._n_runs = self._length(file, "runs", "run")
            self._n_texts = {group: self._length(file, group, "text") for group in ("environments", "configs")}

    def same_as(self, other):
        same_content = self._digest is not None and self._digest == other._digest
        return same_content or os.path.samefile(self.path, other.path)

    def run_count(self):
        return self._n_runs

    def text_count(self, group):
        return self._n_texts[group]

    def runs(self):
        with self._open() as file:
            group = file["runs"]
            missing = [column for column in RUN_COLUMNS if column not in group]
            if missing:
                raise StoreError(f"{self.path}: /runs has no column {', '.join(missing)}")
            columns = {name: self._column(group[name], self._n_runs) for name in group}
            units = {name: self._attribute(group[name], "units") for name in group}
            long_names = {name: self._attribute(group[name], "long_name") for name in group}
        table = pd.DataFrame({"store": [self.path] * self._n_runs, **columns})
        table.attrs = {"units": units, "long_name": long_names}
        self._check_runs(table)
        return table

    def _check_runs(self, table):
        if not np.array_equal(table["run"], np.arange(self._n_runs)):
            raise StoreError(f"{self.path}: /runs/run is not 0..{self._n_runs - 1}")
        for status in table["status"].unique():
            if status not in STATUSES:
                raise StoreError(f"{self.path}: /runs/status: {status!r}, expected one of {', '.join(STATUSES)}")
        for column, group in (("environment", "environments"), ("config", "configs")):
            self._check_index(table[column], self._n_texts[group], f"/runs/{column}", f"/{group}/text")

    def tells_conditions(self):
        with self._open() as file:
            return any(column in group for group in file.get("samples", {}).values() for column in CONDITION_COLUMNS)

    def samples(self, n_runs):
        """Yields (phase, unit, table) with `run` as in this file."""
        with self._open() as file:
            for phase in file.get("samples", {}):
                group = file["samples"][phase]
                missing = [column for column in SAMPLE_COLUMNS if column not in group]
                if missing:
                    raise StoreError(f"{self.path}: /samples/{phase} has no column {', '.join(missing)}")
                n_samples = group["value"].shape[0]
                told = [column for column in CONDITION_COLUMNS if column in group]
                table = pd.DataFrame({c: self._column(group[c], n_samples) for c in (*SAMPLE_COLUMNS, *told)})
                self._check_conditions(group, told)
                table = table.astype({column: CONDITION_COLUMNS[column] for column in told})
                self._check_index(table["run"], n_runs, f"/samples/{phase}/run", "/runs")
                table["warmup"] = table["warmup"].astype(bool)
                table["phase"] = phase
                yield phase, self._attribute(group["value"], "units"), table

    def _check_conditions(self, group, columns):
        for column in columns:
            kind, expected = ("i", "integers") if CONDITION_COLUMNS[column] == "Int64" else ("f", "floating-point numbers")
            if group[column].dtype.kind != kind:
                raise StoreError(f"{self.path}: {group[column].name} holds another type, expected {expected}")

    def texts(self, group):
        with self._open() as file:
            texts = self._column(file[group]["text"], self._n_texts[group])
        return pd.DataFrame({"store": [self.path] * len(texts), "text": texts})

    def _open(self):
        if not os.path.exists(self.path):
            waiting = self.waiting()
            raise StoreError(f"{self.path}: no such file{'; ' if waiting else ''}{waiting}")
        try:
            try:
                # No lock: a store is replaced as a whole, never changed, and some file systems have no locks.
                return h5py.File(self.path, "r", locking=False)
            except ValueError:  # h5py was built on an HDF5 that has no such setting
                return h5py.File(self.path, "r")
        except OSError as error:
            raise StoreError(f"{self.path}: not a readable HDF5 file ({error})") from error

    def waiting(self):
        """Where a sweep is under way or was interrupted: how many runs are not in the file yet and how to get them."""
        segments = glob.glob(os.path.join(glob.escape(self.path + ".d"), "segments", "*.json"))
        if not segments:
            return ""
        return (f"{len(segments)} finished runs wait in {self.path}.d: start the same experiment again, or "
                f"hydrajob store merge {self.path} -o FILE")

    def _length(self, file, group, column):
        if group not in file or column not in file[group]:
            raise StoreError(f"{self.path}: no dataset /{group}/{column}")
        return file[group][column].shape[0]

    def _attribute(self, dataset, name):
        if name not in dataset.attrs:
            raise StoreError(f"{self.path}: {dataset.name} has no attribute {name!r}")
        return _text(dataset.attrs[name])

    def _column(self, dataset, length):
        """A dataset as a Series: strings as str, missing integers as <NA>, missing strings as None."""
        if dataset.shape != (length,):
            raise StoreError(f"{self.path}: {dataset.name} has shape {dataset.shape}, expected ({length},)")
        missing = dataset.attrs.get("missing_value")
        if h5py.check_string_dtype(dataset.dtype) is not None:
            values = pd.Series(dataset.asstr("utf-8")[...] if length else [], dtype=object)
            return values if missing is None else values.where(values != _text(missing), None)
        values = pd.Series(dataset[...])
        if missing is None or not np.issubdtype(dataset.dtype, np.integer):
            return values
        absent = values == np.asarray(missing).item()
        return values.astype("Int64").mask(absent) if absent.any() else values

    def _check_index(self, column, length, name, target):
        if len(column) and (column.min() < 0 or column.max() >= length):
            raise StoreError(f"{self.path}: {name} points outside {target} (0..{length - 1})")


def _check_format(file, path):
    found = _text(file.attrs.get("format", ""))
    if found != FORMAT:
        raise StoreError(f"{path}: not a hydrajob store: attribute format is {found!r}, expected {FORMAT!r}")
    version = file.attrs.get("schema_version")
    if version is None or np.asarray(version).item() != SCHEMA_VERSION:
        raise StoreError(f"{path}: schema_version is {version}, this package reads {SCHEMA_VERSION}")


def _text(value):
    """An HDF5 string attribute, fixed or variable length, scalar or of one element."""
    value = np.asarray(value).item()
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _concatenate(tables):
    """Rows of all; columns of any; the units must agree."""
    attrs = {"units": {}, "long_name": {}}
    for table in tables:
        for kind, names in table.attrs.items():
            for column, text in names.items():
                if attrs[kind].setdefault(column, text) != text and kind == "units":
                    raise StoreError(f"{table['store'].iloc[0]}: /runs/{column} is in {text!r}, in another store in "
                                     f"{attrs[kind][column]!r}")
        table.attrs = {}
    joined = tables[0] if len(tables) == 1 else pd.concat(_with_nullable_integers(tables), ignore_index=True)
    joined.attrs = attrs if attrs["units"] else {}
    return joined


def _with_nullable_integers(tables):
    """Integer columns that some table lacks become Int64, so that they stay integers when joined."""
    everywhere = set.intersection(*(set(table.columns) for table in tables))
    for table in tables:
        partial = [c for c in table.columns if c not in everywhere and pd.api.types.is_integer_dtype(table[c])]
        yield table.astype({column: "Int64" for column in partial})


def _flatten_environments(environments):
    rows = []
    for row in environments.itertuples():
        try:
            environment = json.loads(row.text)
        except ValueError as error:
            raise StoreError(f"{row.store}: /environments/text[{row.Index}] is not JSON: {error}") from error
        if not isinstance(environment, dict):
            raise StoreError(f"{row.store}: /environments/text[{row.Index}] is not a JSON object")
        rows.append({"store": row.store, "text": row.text, **_flatten(environment, "env")})
    return pd.DataFrame(rows, columns=None if rows else ["store", "text"])


def _machine(environment):
    """Results of different hosts of one kind may be compared; those of different kinds or numbers of threads may not."""
    threads = environment.get("env.ranks.threads")
    if not isinstance(threads, list):
        return None
    names = [environment[key] for key in ("env.ranks.device.gpu", "env.ranks.device.cpu_model", "env.ranks.device.name")
             if isinstance(environment.get(key), list)]
    processors = [next(filter(None, column), "unknown processor") for column in zip(*names)] or ["unknown processor"] * len(threads)
    return "; ".join(sorted({f"{processor}, {n} threads a rank" for processor, n in zip(processors, threads)}))


def _flatten(value, prefix):
    """{"cpu": {"model": "x"}} becomes {"<prefix>.cpu.model": "x"}; a list of objects, one list for each of their keys."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        items = [_flatten(item, prefix) for item in value]
        return {key: [item.get(key) for item in items] for key in dict.fromkeys(key for item in items for key in item)}
    if not isinstance(value, dict):
        return {prefix: value}
    flat = {}
    for key, item in value.items():
        flat.update(_flatten(item, f"{prefix}.{key}"))
    return flat
