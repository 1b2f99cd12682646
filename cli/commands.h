// The commands of weir, one file each. Each takes its own arguments, argv[0] being the
// command's name, and returns the exit status.

#pragma once

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, // something could not be read, written, reached
	EXIT_USAGE = 2,  // a wrong option or argument; nothing was done
};

int command_archive(int argc, char **argv);
int command_check_config(int argc, char **argv);
int command_decode(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_export(int argc, char **argv);
int command_query(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_run(int argc, char **argv);
int command_show_config(int argc, char **argv);
int command_top(int argc, char **argv);
int command_version(int argc, char **argv);
