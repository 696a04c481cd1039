"""The conformance kit: what every lowering must pass, a plugin author's as well as ours.

from wsgraph.testing import assert_ledger, assert_wiring

def test_my_operator():
    model = MyLayer(3, 5)
    assert_wiring(model, "1x3")   # edges carry exactly what the network carries
    assert_ledger(model, "1x3")   # no parameter is lost, bit for bit
"""

from wsgraph.testing.ledger import assert_ledger
from wsgraph.testing.report import WiringFault, WiringReport
from wsgraph.testing.wiring import assert_wiring, check_wiring

__all__ = ["WiringFault", "WiringReport", "assert_ledger", "assert_wiring", "check_wiring"]
