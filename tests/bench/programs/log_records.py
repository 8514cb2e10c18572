"""logging: records made, filtered, formatted and kept."""

import io
import logging
import logging.handlers


def run():
    out = io.StringIO()
    logger = logging.getLogger("bench.service")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(funcName)s:%(lineno)d] %(message)s"))
    memory = logging.handlers.MemoryHandler(500, logging.CRITICAL, handler)
    logger.addHandler(memory)
    for i in range(9000):
        logger.info("request %d from %s took %.1f ms", i, "10.0.0.%d" % (i % 250), i / 7)
        logger.debug("not shown %s", i)
        if i % 300 == 0:
            try:
                raise ValueError(i)
            except ValueError:
                logger.exception("failed")
    logger.removeHandler(memory)
    memory.close()
