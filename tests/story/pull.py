#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A card is pulled out while encrypts run: every request is answered, card 1 serves on.

    pull.py ENDPOINTS.JSON [surprise|device_del]

    surprise	the card vanishes from its slot without notice (QMP: card0's
		property surprise-remove)
    device_del	the slot's attention button: the guest lets go of the card

Without a second argument both, with the VM restarted between them.  At the end
card 0 is still out: the caller restarts the VM.
"""

import json
import sys
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from kit import Rig, Tap, skip_all

THREADS = 6
PLAIN = b"0123456789abcdef0123456789abcdef"


class Load:
    """Threads that encrypt on a connection each, and now and then decrypt."""

    def __init__(self, rig, key):
        self.rig, self.key = rig, key
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.good, self.refused, self.lost, self.wrong = [], [], [], []
        self.threads = [threading.Thread(target=self.worker, daemon=True) for _ in range(THREADS)]
        for t in self.threads:
            t.start()

    def worker(self):
        client = self.rig.private("acme", timeout=40)
        n = 0
        while not self.stop.is_set():
            n += 1
            t0 = time.monotonic()
            try:
                blob = client.encrypt(KeyId=self.key, Plaintext=PLAIN)["CiphertextBlob"]
                back = PLAIN if n % 8 else client.decrypt(CiphertextBlob=blob)["Plaintext"]
                with self.lock:
                    (self.good if back == PLAIN else self.wrong).append((t0, time.monotonic() - t0))
            except ClientError as e:
                with self.lock:
                    self.refused.append((t0, time.monotonic() - t0, e.response["Error"]["Code"],
                                         e.response["ResponseMetadata"]["HTTPStatusCode"]))
                time.sleep(0.02)
            except BotoCoreError as e:
                with self.lock:
                    self.lost.append((t0, time.monotonic() - t0, str(e)))

    def join(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)
        return not any(t.is_alive() for t in self.threads)


def live_cards(rig):
    return [c for c in json.loads(rig.inside("hsmctl", "card", "list", "--json").stdout)["cards"]
            if c["state"] == "live"]


def pull(tap, rig, how):
    key = rig.gateway("acme").create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"]
    tap.ok(len(live_cards(rig)) == 2, f"{how}: two live cards before")
    load = Load(rig, key)
    time.sleep(2)
    before = len(load.good)
    tap.ok(before > 0, f"{how}: {THREADS} connections encrypt ({before} in 2 s)", str(load.refused[:3]))

    pulled = time.monotonic()
    with tap.case(f"{how}: card 0 is pulled out"):
        if how == "surprise":
            rig.qmp("qom-set", "path=/machine/peripheral/card0", "property=surprise-remove", "value=true")
        else:
            # The guest gives the attention button five seconds of second thoughts.
            rig.qmp("wait-event", "DEVICE_DELETED", "30", "device_del", "id=card0")
    left = live_cards(rig)
    while len(left) != 1 and time.monotonic() < pulled + 30:
        time.sleep(0.5)
        left = live_cards(rig)
    at = time.monotonic()
    tap.ok(len(left) == 1, f"{how}: the driver lists one live card", str(left))
    time.sleep(3)
    ended = load.join()

    after = [g for g in load.good if g[0] > pulled]
    late = [g for g in load.good if g[0] > at]
    tap.note(f"{how}: served {len(load.good)}: {before} before the pull, {len(after)} begun after it, "
             f"{len(late)} begun after the card was off the list ({at - pulled:.1f} s later); "
             f"refused {len(load.refused)}; unanswered {len(load.lost)}; "
             f"slowest served {max([g[1] for g in load.good] or [0]):.2f} s, "
             f"slowest refused {max([r[1] for r in load.refused] or [0]):.2f} s")
    tap.ok(ended, f"{how}: no thread hangs")
    tap.ok(not load.lost, f"{how}: every request got an answer", str(load.lost[:5]))
    tap.ok(not load.wrong, f"{how}: no answer was wrong")
    tap.ok(late, f"{how}: card 1 serves on")
    tap.ok(not load.refused, f"{how}: no encrypt was refused, they moved to card 1", str(load.refused[:5]))
    with tap.case(f"{how}: a key made after the pull works"):
        new = rig.gateway("acme").create_key(CustomKeyStoreId="acme")["KeyMetadata"]["KeyId"]
        acme = rig.private("acme")
        blob = acme.encrypt(KeyId=new, Plaintext=PLAIN)["CiphertextBlob"]
        assert acme.decrypt(CiphertextBlob=blob)["Plaintext"] == PLAIN
    p = rig.run(program="tests/vm/vm-dmesg-check", check=False)
    tap.ok(p.returncode == 0, f"{how}: dmesg is clean", p.stdout + p.stderr)


def main():
    ways = sys.argv[2:] or ["surprise", "device_del"]
    if len(sys.argv) < 2 or not set(ways) <= {"surprise", "device_del"}:
        sys.exit(__doc__)
    rig, tap = Rig(sys.argv[1]), Tap()
    if rig.mode != "vm":
        skip_all("there are no cards to pull out natively")
    for i, how in enumerate(ways):
        if i:
            with tap.case("the VM is restarted, card 0 is back in its slot"):
                rig.down_and_up()
        pull(tap, rig, how)
    tap.done()


if __name__ == "__main__":
    main()
