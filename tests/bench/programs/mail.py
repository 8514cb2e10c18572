"""email: messages built, written, parsed and walked."""

import email
import email.policy
from email.message import EmailMessage


def run():
    for i in range(45):
        message = EmailMessage()
        message["From"] = "Sender %d <sender%d@mail.example>" % (i, i)
        message["To"] = ", ".join("Receiver <r%d@mail.example>" % k for k in range(5))
        message["Subject"] = "Vierteljährlicher Bericht %d" % i
        message.set_content("Hello,\n\n" + "a line of text which is wrapped\n" * 40)
        message.add_attachment(b"\0\1\2" * 3000, maintype="application", subtype="octet-stream", filename="data.bin")
        parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
        [part.get_content() for part in parsed.walk() if not part.is_multipart()]
        str(parsed["To"]), str(parsed["Subject"])
