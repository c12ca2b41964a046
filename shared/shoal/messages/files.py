"""Commands about the cluster's files."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Done, Page, Reply, Request, Scope, Table


class FileRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file, or a directory (which is there as long as files are in it). `size` in bytes, `digest` its SHA-256."""

    name: str
    directory: bool = False
    size: int = 0
    digest: str = ""
    added: str = ""


class Files(Page[FileRow], frozen=True, kw_only=True, omit_defaults=True):
    """Files of the cluster."""

    def display(self) -> Display:
        """Show `dir | name | size`; `digest` and `added` where they are asked for."""
        return Table(
            columns=("dir", "name", "size", "digest", "added"),
            rows=tuple(
                ("<dir>", row.name, None, None, None)
                if row.directory
                else ("", row.name, row.size, row.digest, row.added)
                for row in self.items
            ),
            hidden=frozenset({"digest", "added"}),
        )


class FileAnswer(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What the cluster knows of a file. `wanted`: its content is not there, and has to be sent first."""

    name: str
    digest: str
    size: int
    wanted: bool = False


class ListFiles(Request[Files], frozen=True, kw_only=True, omit_defaults=True):
    """List the cluster's files: those at the top, or in a directory, or one of them.

    Files are put with `shoal file put`. A relative path in `vm config` (or one that begins with `file:`) is one.

    Example: file list images
    """

    noun: ClassVar[str] = "file"
    verb: ClassVar[str] = "list"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("file list [path]",)
    reply: ClassVar[type[Reply]] = Files
    reads: ClassVar[bool] = True

    path: str = ""
    after: str = ""
    limit: int = 0


class PutFile(Request[FileAnswer], frozen=True, kw_only=True, omit_defaults=True):
    """Put a file from where the prompt runs into the cluster, under its own name or another.

    `replace` gives a name that is taken to the new content; VMs that were launched before keep the old one.

    Example: file put /boot/vmlinuz as kernels/vmlinuz
    """

    noun: ClassVar[str] = "file"
    verb: ClassVar[str] = "put"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("file put <path> [as <name>] [replace?]",)
    reply: ClassVar[type[Reply]] = FileAnswer

    path: str = ""
    name: str = ""
    replace: bool = False
    digest: str = ""
    size: int = 0
    #: the content was sent: it is looked for again
    sent: bool = False


class GetFile(Request[FileAnswer], frozen=True, kw_only=True, omit_defaults=True):
    """Get a file of the cluster: into the directory where the prompt runs, or to a path.

    Example: file get kernels/vmlinuz to /tmp/vmlinuz
    """

    noun: ClassVar[str] = "file"
    verb: ClassVar[str] = "get"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("file get <name> [to <path>]",)
    reply: ClassVar[type[Reply]] = FileAnswer
    reads: ClassVar[bool] = True

    name: str
    path: str = ""


class DeleteFile(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Delete a file of the cluster; VMs that were launched with it keep its content.

    `*`, `?` and `[…]` mean several: the files that match, and all that is in directories that match.

    Example: file delete captures/*.pcap
    """

    noun: ClassVar[str] = "file"
    verb: ClassVar[str] = "delete"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("file delete <name>",)

    name: str
