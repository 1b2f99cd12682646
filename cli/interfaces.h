// Interfaces: what collectors are told of the ports that records name by their ifIndex.
//
// Threads: one.

#pragma once

#include <stddef.h>

#include "export_counts.h"
#include "sensor.h"

// Of the ports of a sensor, SENSOR_MAX_PORTS at most: the kernel's name and alias where it has the
// interface, else the port's as the user wrote it. Returns how many.
size_t interfaces_of_sensor(const struct sensor *sensor, struct export_interface *interfaces);

// Of a replay: named after its first file.
void interfaces_of_capture(const char *file, struct export_interface *interface);
