"""The built-in DHCP server: addresses, stable bindings, and answers to leasequery.

`assign` and `answer` are logic without I/O; `service` joins them for one received datagram;
`storage` and `daemon` are the I/O around them.
"""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program that uses it decides on the log
