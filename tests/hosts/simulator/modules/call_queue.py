"""The lock that a generation holds, not re-entrant, as in the hosts."""

import threading

queue_lock = threading.Lock()
