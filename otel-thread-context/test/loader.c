/* SPDX-License-Identifier: Apache-2.0 */
/* Loads publisher.so, its argument, and becomes it. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
	void *library = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	void *address = library ? dlsym(library, "publisher") : NULL;
	int (*publisher)(void);

	if (!address) {
		fprintf(stderr, "loader: %s\n", count == 2 ? dlerror() : "which library?");
		return 2;
	}
	memcpy(&publisher, &address, sizeof(publisher));
	return publisher();
}
