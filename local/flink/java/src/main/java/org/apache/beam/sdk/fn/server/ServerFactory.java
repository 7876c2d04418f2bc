package org.apache.beam.sdk.fn.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.apache.beam.model.pipeline.v1.Endpoints;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p69p0.io.grpc.netty.NettyServerBuilder;

/**
 * Takes the place of Beam's class of that name, in the job server and in the task managers.
 *
 * <p>Beam's asks for a loopback address and then listens on that port of all interfaces (`forPort`); whoever reaches
 * it can submit jobs, or feed a worker. This one listens on 127.0.0.1 only. It has what those two programs call.
 */
public abstract class ServerFactory {
  private static final int KEEP_ALIVE_TIME_SEC = 20; // as Beam's

  public static ServerFactory createDefault() {
    return new Loopback(() -> 0);
  }

  public static ServerFactory createWithPortSupplier(Supplier<Integer> port) {
    return new Loopback(port);
  }

  public abstract Server allocateAddressAndCreate(
      List<BindableService> services, Endpoints.ApiServiceDescriptor.Builder descriptor) throws IOException;

  public abstract Server create(List<BindableService> services, Endpoints.ApiServiceDescriptor descriptor)
      throws IOException;

  private static final class Loopback extends ServerFactory {
    private final Supplier<Integer> port;

    Loopback(Supplier<Integer> port) {
      this.port = port;
    }

    @Override
    public Server allocateAddressAndCreate(
        List<BindableService> services, Endpoints.ApiServiceDescriptor.Builder descriptor) throws IOException {
      Server server = listen(services, port.get());
      descriptor.setUrl("127.0.0.1:" + server.getPort());
      return server;
    }

    @Override
    public Server create(List<BindableService> services, Endpoints.ApiServiceDescriptor descriptor)
        throws IOException {
      String url = descriptor.getUrl();
      return listen(services, Integer.parseInt(url.substring(url.lastIndexOf(':') + 1)));
    }

    private static Server listen(List<BindableService> services, int port) throws IOException {
      NettyServerBuilder builder =
          NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
              .maxInboundMessageSize(Integer.MAX_VALUE)
              .permitKeepAliveTime(KEEP_ALIVE_TIME_SEC, TimeUnit.SECONDS);
      for (BindableService service : services) {
        builder.addService(
            ServerInterceptors.intercept(service, GrpcContextHeaderAccessorProvider.interceptor()));
      }
      return builder.build().start();
    }
  }
}
