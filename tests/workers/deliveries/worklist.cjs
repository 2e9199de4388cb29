// A UPS worklist on the library dcmjs-dimse: node worklist.cjs PORT. It prints its workitems after each change.
const { Scp, Server, constants, responses } = require("dcmjs-dimse");
const { NCreateResponse, NSetResponse, NActionResponse } = responses;
const { Status, PresentationContextResult } = constants;
const items = new Map();
const DUPLICATE = 0x0111, NO_SUCH_INSTANCE = 0x0112;

function answered(kind, request, status, callback) {
  const answer = kind.fromRequest(request);
  answer.setStatus(status);
  callback(answer);
  console.log(JSON.stringify([...items.values()]));
}

class Worklist extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    }
    this.sendAssociationAccept();
  }
  nCreateRequest(request, callback) {
    const uid = request.getAffectedSopInstanceUid();
    if (items.has(uid)) return answered(NCreateResponse, request, DUPLICATE, callback);
    items.set(uid, { ...request.getDataset().getElements() });
    answered(NCreateResponse, request, Status.Success, callback);
  }
  nSetRequest(request, callback) {
    const item = items.get(request.getRequestedSopInstanceUid());
    if (item) Object.assign(item, request.getDataset().getElements());
    answered(NSetResponse, request, item ? Status.Success : NO_SUCH_INSTANCE, callback);
  }
  nActionRequest(request, callback) {
    const item = items.get(request.getRequestedSopInstanceUid());
    if (item) item.ProcedureStepState = "CANCELED";
    answered(NActionResponse, request, item ? Status.Success : NO_SUCH_INSTANCE, callback);
  }
  associationReleaseRequested() { this.sendAssociationReleaseResponse(); }
}
const server = new Server(Worklist);
server.listen(Number(process.argv[2]), { host: "127.0.0.1" });
const probe = () => {
  const socket = require("net").connect(Number(process.argv[2]), "127.0.0.1", () => { socket.destroy(); console.log("listening"); });
  socket.on("error", () => setTimeout(probe, 50));
};
probe();
