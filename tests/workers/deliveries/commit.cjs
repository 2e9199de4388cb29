// A DICOM node that stores objects and reports on storage commitment on an association of its own.
// node commit.cjs PORT HOST_OF_THE_REQUESTER ITS_PORT FAILS(0 or 1)
const { Dataset, Scp, Server, Client, constants, requests, responses } = require("dcmjs-dimse");
const { CStoreResponse, NActionResponse } = responses;
const { Status, PresentationContextResult } = constants;
const [port, host, other, fails] = process.argv.slice(2);
const PUSH = "1.2.840.10008.1.20.1", INSTANCE = "1.2.840.10008.1.20.1.1";

function report(asked) {
  const client = new Client();
  const request = new requests.NEventReportRequest(PUSH, INSTANCE, fails === "1" ? 2 : 1);
  const named = [].concat(asked.getElement("ReferencedSOPSequence"));
  const elements = { TransactionUID: asked.getElement("TransactionUID") };
  if (fails === "1") elements.FailedSOPSequence = named.map((one) => ({ ...one, FailureReason: 0x0112 }));
  else elements.ReferencedSOPSequence = named;
  request.setDataset(new Dataset(elements));
  request.on("response", (r) => console.log("report " + r.getStatus()));
  client.addRequest(request);
  client.on("networkError", (e) => console.log("error " + e.message));
  client.on("associationRejected", () => console.log("rejected"));
  client.send(host, Number(other), "COMMITTER", "ICANSEE");
}

class Node extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const syntax = context.getTransferSyntaxUids()[0];
      context.setResult(PresentationContextResult.Accept, syntax);
    }
    this.sendAssociationAccept();
  }
  cStoreRequest(request, callback) {
    const answer = CStoreResponse.fromRequest(request);
    answer.setStatus(Status.Success);
    callback(answer);
  }
  nActionRequest(request, callback) {
    const answer = NActionResponse.fromRequest(request);
    answer.setStatus(Status.Success);
    callback(answer);
    setTimeout(() => report(request.getDataset()), 100);
  }
  associationReleaseRequested() { this.sendAssociationReleaseResponse(); }
}
const server = new Server(Node);
server.on("networkError", (e) => console.log("server error " + e.message));
server.listen(Number(port), { host: "127.0.0.1" });
const probe = () => {
  const socket = require("net").connect(Number(port), "127.0.0.1", () => { socket.destroy(); console.log("listening"); });
  socket.on("error", () => setTimeout(probe, 50));
};
probe();
