// Wanbatch runs batches of motion-transfer videos on Alibaba Cloud Model Studio
// (wan2.2-animate-move and wan2.2-animate-mix), inside the account's limits,
// without paying twice, and leaves a report that can be billed from.
//
// # Usage
//
//	wanbatch init     IMAGES VIDEOS|CSV  write a commented manifest for two folders or a table
//	wanbatch validate MANIFEST...        check manifests and media; spends nothing, needs no key
//	wanbatch estimate MANIFEST           jobs, seconds, money, wall-clock time; spends nothing
//	wanbatch run      MANIFEST           do it, or continue it: the only command that spends
//	wanbatch status   MANIFEST|DIR       what the journal says; no network
//	wanbatch report   MANIFEST|DIR...    write the report again from the journal, or one bill of many
//	wanbatch resolve  MANIFEST|DIR JOB   settle a quarantined job: --adopt TASK, --resubmit or --abandon
//	wanbatch cancel   MANIFEST|DIR       cancel the tasks that still wait at the provider; spends nothing
//	wanbatch audit    MANIFEST|DIR       prove journal, report and videos; no network
//	wanbatch rehearse MANIFEST           the whole run against the built-in emulator, on a fast clock
//	wanbatch emulator                    serve the emulator on a loopback port
//	wanbatch doctor   [MANIFEST]         what would stop a run: key, endpoint, buckets, clock, disk, limits
//	wanbatch schema | version | completion | help
//
// MANIFEST may be "-" for standard input. The folder of a batch is
// <--output>/<name>; --output is "output" unless given, and the name is the
// manifest's unless --name replaces it. Each command's --help has its flags, its
// exit codes and an example.
//
// A first session:
//
//	wanbatch rehearse spring.yaml                 # free: everything but the provider is real
//	wanbatch estimate spring.yaml --save plan.json
//	wanbatch run spring.yaml --plan plan.json --max-cost 40
//	wanbatch run spring.yaml --yes                # the same again continues; what is done stays done
//
// # Streams
//
// Results go to standard output, everything else to standard error. On a
// terminal run shows the live view; elsewhere, or with -v or --log-format, one
// log line per step. run --json prints the report as one document at the end,
// run --events one JSON line per step. NO_COLOR, TERM=dumb and CI are respected.
//
// # Interrupting
//
// The first Ctrl-C or SIGTERM stops creating, finishes downloads that are under
// way and tells how to continue; the second stops immediately. Neither cancels paid
// work at the provider, and neither loses any: running again continues. What only
// waits there is canceled, for free, by wanbatch cancel.
//
// A terminal that is closed (SIGHUP) counts as a first Ctrl-C and never as the second,
// unless nohup started the program. Who reads the output may leave: the run goes on, and
// exits with 1 only if results on standard output were not delivered.
//
// # Environment
//
//	DASHSCOPE_API_KEY            the key
//	DASHSCOPE_API_KEY_FILE_PATH  a file that holds it, if that is not set
//	                             (then ~/.dashscope/api_key)
//	DASHSCOPE_HTTP_BASE_URL      another endpoint, with or without /api/v1
//	HTTPS_PROXY, NO_PROXY        proxies, for API calls and downloads
//	XDG_STATE_HOME               where the locks of lanes are kept (wanbatch/ below it)
//
// A manifest that sets lane.api_key_env is run with the key in that variable or
// not at all, so that no customer is run on another's account. The key is never
// a flag. Elsewhere a flag wins over the environment, that over the manifest.
//
// # Exit codes
//
//	0    every job done (also: nothing left to do)
//	1    could not run (I/O, bug)
//	2    usage, or manifest/media invalid
//	3    finished, some jobs failed or lost
//	4    finished, some jobs quarantined: a person must decide
//	5    stopped by the budget
//	6    stopped by the account or its setup
//	7    another run holds this batch or this lane
//	130  interrupted; run again to continue
//
// When several hold, the first in the order 2, 7, 1, 130, 6, 5, 4, 3, 0 counts.
// Treat a code that is not listed as a failure.
package main
