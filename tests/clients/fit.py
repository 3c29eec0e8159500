"""fit.py IMAGE TREE NODE FOLDER: extracts the signed data and the signature of a FIT image, so that OpenSSL can verify them.

FOLDER/content    the bytes that the signature in the node NODE (/configurations/conf/signature) covers
FOLDER/signature  the signature
FOLDER/modulus    the modulus of the public key in U-Boot's device tree TREE, as `openssl rsa -modulus` prints it

Fails if the signature does not cover the configuration or an image that it names, or if an image's SHA-256 hash is wrong.

The signed data are (doc/usage/fit/signature.rst of U-Boot): the tags of each node in hashed-nodes, without the properties that hold or
locate an image's data; the begin and end tags of the subnodes of these nodes; the end of the tree; the first bytes of the strings.
"""

import hashlib
import pathlib
import struct
import sys

BEGIN, END, PROPERTY, NOP, STOP = 1, 2, 3, 4, 9
DATA = {"data", "data-size", "data-position", "data-offset"}


class Tree:
    """A flattened device tree: its tags, as (tag, path, property name or None, value, bytes), and its properties by path."""

    def __init__(self, blob):
        _, _, structure, strings = struct.unpack_from(">4I", blob)
        self.strings = blob[strings:]
        self.tags, self.properties = [], {}
        path, at = [], structure
        while True:
            start = at
            [tag] = struct.unpack_from(">I", blob, at)
            at += 4
            name, value = None, None
            if tag == BEGIN:
                end = blob.index(0, at)
                path.append(blob[at:end].decode())
                at = (end + 4) & ~3
                self.properties["/".join(path) or "/"] = {}
            elif tag == PROPERTY:
                length, where = struct.unpack_from(">2I", blob, at)
                value = blob[at + 8:at + 8 + length]
                at = (at + 8 + length + 3) & ~3
                name = self.strings[where:self.strings.index(0, where)].decode()
                self.properties["/".join(path) or "/"][name] = value
            elif tag not in (END, NOP, STOP):
                raise ValueError(f"tag {tag} at {start}")
            self.tags.append((tag, "/".join(path) or "/", name, blob[start:at]))
            if tag == END:
                path.pop()
            if tag == STOP:
                return

    def text(self, path, name):
        return [part.decode() for part in self.properties[path][name].rstrip(b"\0").split(b"\0")]


def signed_bytes(tree, nodes, strings):
    out = b""
    for tag, path, name, data in tree.tags:
        parent = path.rpartition("/")[0] or "/"
        if tag in (BEGIN, END):
            wanted = path in nodes or (path != "/" and parent in nodes)
        elif tag == STOP:
            wanted = True
        else:
            wanted = path in nodes and name not in DATA
        if wanted:
            out += data
    first, length = struct.unpack(">2I", strings)
    return out + tree.strings[first:first + length]


def main():
    image, control, node, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    tree = Tree(pathlib.Path(image).read_bytes())
    nodes = tree.text(node, "hashed-nodes")
    configuration = node.rpartition("/")[0]
    images = [f"/images/{name}" for kind in tree.text(node, "sign-images") for name in tree.text(configuration, kind)]
    for path in ["/", configuration, *images, *(f"{path}/hash" for path in images)]:
        assert path in nodes, f"the signature does not cover {path}, only {nodes}"
    for path in images:
        assert tree.text(f"{path}/hash", "algo") == ["sha256"]
        data = tree.properties[path]["data"]
        assert hashlib.sha256(data).digest() == tree.properties[f"{path}/hash"]["value"], f"the hash of {path} is wrong"
    (folder / "content").write_bytes(signed_bytes(tree, nodes, tree.properties[node]["hashed-strings"]))
    (folder / "signature").write_bytes(tree.properties[node]["value"])
    own = Tree(pathlib.Path(control).read_bytes())
    [hint] = tree.text(node, "key-name-hint")
    key = own.properties[f"/signature/key-{hint}"]
    assert key["required"] == b"conf\0", key
    (folder / "modulus").write_text(f"Modulus={key['rsa,modulus'].hex().upper()}\n")


if __name__ == "__main__":
    main()
