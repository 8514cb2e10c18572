"""docutils: a document with sections, lists, tables and links to HTML."""

from docutils.core import publish_string

SECTION = """
Section {0}
==============

Some *emphasis*, some **strong words**, ``a literal`` and a link_ to `the next section <#section-{1}>`__.

- first item of {0}
- second item

  1. with a list
  2. inside

====== ====== ======
A      B      Sum
====== ====== ======
{0:6d} {1:6d} {2:6d}
====== ====== ======

.. note:: A note on section {0}.

::

    def function(argument):
        return argument + {0}
"""


def run():
    text = "Title\n#####\n\n.. _link: http://example.org/\n"
    text += "".join(SECTION.format(i, i + 1, 2 * i + 1) for i in range(12))
    publish_string(text, writer_name="html5", settings_overrides={"report_level": 5, "embed_stylesheet": False})
