"""ssl: contexts and half-open connections, which OpenSSL keeps in its own memory."""

import os
import ssl

contexts = [ssl.create_default_context() for _ in range(20)]
connections = []
for i in range(400):
    context = contexts[i % len(contexts)]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="shop.example")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        pass
    connections.append((connection, incoming, outgoing))
os.write(int(os.environ["TM_READY"]), b"ready\n")
input()
