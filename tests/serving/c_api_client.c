/* Loads a SavedModel through TensorFlow's C API, as a server does, and runs a signature.

   c_api_client MODEL INPUT_OP bytes|float OUTPUT_OP INDEX BATCH HEIGHT WIDTH < input > output

   bytes: BATCH times a uint32 length and as many bytes; float: BATCH * HEIGHT * WIDTH * 3 floats.
   The output is written as its floats. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", what, TF_Message(status));
    exit(1);
  }
}

static void read_exactly(void *place, size_t size) {
  if (fread(place, 1, size, stdin) != size) {
    fprintf(stderr, "the input is too short\n");
    exit(1);
  }
}

static TF_Tensor *read_strings(int64_t batch) {
  TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &batch, 1, batch * sizeof(TF_TString));
  TF_TString *strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < batch; ++i) {
    uint32_t size;
    read_exactly(&size, sizeof size);
    char *content = malloc(size + 1);
    read_exactly(content, size);
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], content, size);
    free(content);
  }
  return tensor;
}

static TF_Tensor *read_pixels(int64_t batch, int64_t height, int64_t width) {
  int64_t shape[4] = {batch, height, width, 3};
  size_t size = batch * height * width * 3 * sizeof(float);
  TF_Tensor *tensor = TF_AllocateTensor(TF_FLOAT, shape, 4, size);
  read_exactly(TF_TensorData(tensor), size);
  return tensor;
}

int main(int count, char **arguments) {
  if (count != 9) return 2;
  const char *tags[] = {"serve"};
  int64_t batch = atoll(arguments[6]);
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph,
                                                     NULL, status);
  check(status, "cannot load");

  TF_Output input = {TF_GraphOperationByName(graph, arguments[2]), 0};
  TF_Output output = {TF_GraphOperationByName(graph, arguments[4]), atoi(arguments[5])};
  if (input.oper == NULL || output.oper == NULL) {
    fprintf(stderr, "no such operation\n");
    return 1;
  }
  TF_Tensor *given = strcmp(arguments[3], "bytes") == 0
                         ? read_strings(batch)
                         : read_pixels(batch, atoll(arguments[7]), atoll(arguments[8]));
  TF_Tensor *answer = NULL;
  TF_SessionRun(session, NULL, &input, &given, 1, &output, &answer, 1, NULL, 0, NULL, status);
  check(status, "cannot run");
  if (TF_TensorType(answer) != TF_FLOAT) return 1;
  fwrite(TF_TensorData(answer), 1, TF_TensorByteSize(answer), stdout);

  TF_DeleteTensor(answer);
  TF_DeleteTensor(given);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
