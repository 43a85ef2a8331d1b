#!/usr/bin/env python3
"""Reads every #include of the project and fails on one that layers.toml does not allow."""
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = tomllib.loads((ROOT / "tools/lint/layers.toml").read_text())
ROOMS = RULES["rooms"]
CONFINED = RULES["confined"]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def room_of(path: str) -> str:
    """The longest room that the path lies in, or nothing."""
    inside = [room for room in ROOMS if path == room or path.startswith(room + "/")]
    return max(inside, key=len, default="")


def is_test(path: str) -> bool:
    return path.startswith("tests/") or path.endswith("_test.cpp")


def problems() -> list[str]:
    found = []
    files = [p for top in ("plumbline", "apps", "python", "bench", "examples") for p in (ROOT / top).rglob("*.[ch]pp")]
    for file in sorted(files):
        path = file.relative_to(ROOT).as_posix()
        own = room_of(path)
        if not own:
            found.append(f"{path}: lies in no room of layers.toml")
            continue
        text = file.read_text()
        for match in INCLUDE.finditer(text):
            target = match.group(2)
            line = text.count("\n", 0, match.start()) + 1
            for header, places in CONFINED.items():
                if is_test(path) and header.startswith("plumbline/"):
                    continue  # tests judge by the hidden side; heavy third-party headers stay confined in them too
                if target.startswith(header) and not any(path.startswith(place) for place in places):
                    found.append(f"{path}:{line}: <{target}> is allowed only in {', '.join(places) or 'no file'}")
            if is_test(path) or match.group(1) == "<":
                continue
            if target.startswith("tests/") and not any(target.startswith(a) for a in ROOMS[own]):
                found.append(f"{path}:{line}: includes a test header, {target}")
            other = room_of(target)
            if not other or other == own:
                continue
            allowed = ROOMS[own]
            if not any(other == a or other.startswith(a + "/") for a in allowed):
                found.append(f"{path}:{line}: {own} may not include {target} ({other})")
    return found


if __name__ == "__main__":
    errors = problems()
    print("\n".join(errors) if errors else "layers: every include is allowed")
    sys.exit(1 if errors else 0)
