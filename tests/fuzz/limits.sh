# The limits of a target but for time, for `. limits.sh`. One answer takes a few MiB, with the bounds of a traceback or table; the
# sanitizers themselves take most of the 512 MiB.
limits="-rss_limit_mb=512 -malloc_limit_mb=64 -max_len=4096 -print_final_stats=1 -verbosity=0"
