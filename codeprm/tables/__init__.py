"""Directories of tables: how stages hand rows to each other, and how nothing is done twice.

    DIR/started.json            first: job, configuration, its hash, the inputs' identities
    DIR/TABLE/PART.parquet      rows, one file a table and a unit of work
    DIR/commits/PART.json       the unit is complete: rows, counts by outcome and reason, seconds
    DIR/spool/, DIR/attempts/   work in flight, gone when the unit is committed
    DIR/manifest.json           last: sums over all commits, versions; now the directory is complete

A part counts only when its commit exists, so a killed writer leaves nothing that looks finished and
a retried one overwrites itself. A consumer may read committed parts while the producer still runs.
Every table is partitioned by problem: part names start with `part-BUCKET`, BUCKET =
`bucket_of(problem_id, buckets)`, so tables of equal `buckets` join part by part without a shuffle.

Paths are local or URIs: what pyarrow knows (s3://, gs://, hdfs://), else what fsspec knows.
"""

from codeprm.tables.directory import Commit, Directory, filesystem, open_directory
from codeprm.tables.parts import PartWriter
from codeprm.tables.protocol import finish_directory, input_identity, start_directory

__all__ = [
    "Commit",
    "Directory",
    "PartWriter",
    "filesystem",
    "finish_directory",
    "input_identity",
    "open_directory",
    "start_directory",
]
