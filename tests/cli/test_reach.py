"""plumbline reach: statuses, formats, the picture, bad input."""
import os
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree as xml

from cli.support import BIN, DATA, SOURCE, SystemTest, load, plumbline


class Reach(SystemTest):
    def setUp(self):
        super().setUp()
        self.assertEqual(plumbline("init", self.folder / "cart", "--kind", "loop")[2], 0)
        self.loop = self.folder / "cart/loop.toml"

    def test_json_says_everything(self):
        out, _, code = plumbline("reach", self.loop, "--json")
        self.assertEqual(code, 0)
        got = load(out)
        self.assertEqual((got["verdict"], got["name"], got["open_share"]), ("holds", "Cart", 0))
        self.assertEqual(len(got["properties"]), 2)
        self.assertGreater(got["properties"][0]["least_margin_of_rollouts"], 0)
        out, _, code = plumbline("reach", self.loop, "--set", "v=-2:-1.8", "--json")
        self.assertEqual(code, 1)
        got = load(out)
        self.assertEqual(got["verdict"], "violated")
        self.assertLess(min(p["state"]["x"] for p in got["witness"]["rollout"]), -0.2)
        self.assertEqual([p["broken"] for p in got["properties"]], [True, False])

    def test_the_picture_is_well_formed_and_moves(self):
        path = self.folder / "tube.svg"
        out, _, code = plumbline("reach", self.loop, "--plot", path)
        self.assertEqual(code, 0)
        self.assertIn(f"picture  {path}", out)
        text = path.read_text()
        xml.fromstring(text)
        self.assertIn("<animate ", text)
        self.assertNotIn("nan", text)

    def test_bad_input_names_file_and_place(self):
        text = self.loop.read_text()
        for wrong, place in ((text.replace("drag*v^3", "drag*w^3"), "loop.toml:23 (dynamics.v), column 13: unknown variable 'w'"),
                             (text.replace("drag*v^3", "gamma(v)"), "unknown function 'gamma'"),
                             (text.replace('unit = "m"', 'unit = "ell"'), "loop.toml:11: unknown unit 'ell'"),
                             (text.replace("controller.onnx", "none.onnx"), "none.onnx"),
                             (text.replace("[0.9, 1.1]", "[1.1, 0.9]"), "the box of 'x' is empty")):
            self.loop.write_text(wrong)
            _, err, code = plumbline("reach", self.loop)
            self.assertEqual(code, 2, err)
            self.assertIn(place, err)
        self.assertEqual(plumbline("reach", self.folder / "none.toml")[2], 2)
        self.loop.write_text(text)
        for words in (("--set", "x"), ("--set", "x=2:1"), ("--set", "y=1"), ("--order", "0"), ("--timeout", "-1")):
            self.assertEqual(plumbline("reach", self.loop, *words)[2], 2, words)
        self.loop.write_text(text.split("# The wall")[0])
        _, err, code = plumbline("reach", self.loop)
        self.assertEqual(code, 2)
        self.assertIn("claims nothing", err)

    def test_no_time_is_unknown(self):
        out, _, code = plumbline("reach", self.loop, "--timeout", "0", "--json")
        self.assertEqual(code, 3)
        got = load(out)
        self.assertEqual((got["verdict"], got["reproducible"]), ("unknown", False))

    def test_interrupt_ends_at_once(self):
        text = self.loop.read_text().replace('always = "x >= -0.2"', 'always = "x*x >= v*v - 5 + 1e-9*x"').replace("steps = 30", "steps = 5000")
        self.loop.write_text(text)
        process = subprocess.Popen([str(BIN / "plumbline"), "reach", str(self.loop), "--set", "x=-50:50", "--set", "v=-50:50", "--timeout", "600"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)

    def test_games_and_their_tables(self):
        game = self.write("wall.toml", """[game]
horizon = 2.5
[grid]
x = { low = -1, high = 3, points = 31 }
v = { low = -2, high = 2, points = 31 }
[control]
u = [-1, 1]
[dynamics]
x = "v"
v = "u"
[avoid]
distance = "x"
""")
        table = self.folder / "wall.table"
        out, _, code = plumbline("reach", game, "--table", table, "--json")
        self.assertEqual(code, 0)
        first = load(out)
        # Below x = 0 and below the parabola: 1/4 and a sixth of what is left on this grid.
        self.assertAlmostEqual(first["unsafe_share"], (4 + 8 / 6) / 16, delta=0.04)
        out, _, code = plumbline("reach", table, "--at", "x=0.3", "--at", "v=-1", "--json")
        self.assertEqual(code, 1)
        got = load(out)
        self.assertEqual((got["at"]["safe"], got["at"]["best_control"], got["nodes"]), (False, {"u": 1}, 961))
        self.assertEqual(plumbline("reach", table, "--at", "x=1", "--at", "v=-1")[2], 0)
        self.assertEqual(plumbline("reach", table, "--at", "x=0.6", "--at", "v=-1", "--margin", "0.5")[2], 1)
        for words in (("--at", "x=1"), ("--at", "x=1", "--at", "w=1"), ("--at", "x"), ("--margin", "-1")):
            self.assertEqual(plumbline("reach", table, *words)[2], 2, words)
        data = bytearray(table.read_bytes())
        data[len(data) // 2] ^= 1
        table.write_bytes(data)
        _, err, code = plumbline("reach", table)
        self.assertEqual(code, 2)
        self.assertIn("its hash differs", err)
        game.write_text(game.read_text().replace('v = "u"', 'v = "u*u"'))
        _, err, code = plumbline("reach", game)
        self.assertEqual(code, 2)
        self.assertIn("not affine", err)
        self.assertEqual(plumbline("reach", self.loop, "--table", table)[2], 2)

    @unittest.skipUnless(DATA and os.path.isdir(f"{DATA}/controllers/onnx"), "set PLUMBLINE_DATA")
    def test_published_loops(self):
        for name, words, code in (("acc", (), 0), ("vcas", ("--set", "hdot=-25.5"), 1), ("single_pendulum", ("--set", "theta=1:1.175"), 0)):
            _, err, got = plumbline("reach", SOURCE / f"examples/reach/{name}.toml", "--timeout", "300", *words)
            self.assertEqual(got, code, (name, err))


if __name__ == "__main__":
    unittest.main()
