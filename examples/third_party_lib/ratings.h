/* A library as they come: it knows nothing of grove, and does not say that it blocks. */
#ifndef RATINGS_H
#define RATINGS_H

int rating_of(int payee);

#endif
