/*
 * The functions of an older version of ShapeService. Each answers its number
 * and one more.
 */
#include "shapes.grove.h"

static int same(const Shapes__V1__SameRequest *request, Shapes__V1__SameResponse *response)
{
    response->number = request->number + 1;
    return 0;
}

static int grown(const Shapes__V1__GrownRequest *request, Shapes__V1__GrownResponse *response)
{
    response->number = request->number + 1;
    return 0;
}

static int turned(const Shapes__V1__TurnedRequest *request, Shapes__V1__TurnedResponse *response)
{
    response->number = request->number + 1;
    return 0;
}

static int flowing(const Shapes__V1__FlowingRequest *request, Shapes__V1__FlowingResponse *response)
{
    response->number = request->number + 1;
    return 0;
}

static const struct shape_service shapes = {
    .same = same, .grown = grown, .turned = turned, .flowing = flowing};

GROVE_WORKER(shape, &shapes);
